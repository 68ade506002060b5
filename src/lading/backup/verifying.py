"""See whether backups are whole: every blob with its size, or every byte of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lading.backup.contents import Contents
from lading.backup.depot import Damaged, Depot, Stored, subject_of
from lading.backup.place import verified
from lading.errors import Corrupt, LadingError
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest

OnBytes = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one backup; *parts* are those that it touches, empty for all of it."""

    tag: str
    problem: str
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verified:
    """What was looked at, and what was found; *size* is in bytes, as stored."""

    backups: int
    blobs: int
    size: int
    findings: list[Finding]


def verify(
    depot: Depot, tags: Sequence[str] = (), *, read_data: bool, on_bytes: OnBytes
) -> Verified:
    """Look at the backups of those *tags*, or at all of them; each blob once."""
    with depot.place.held():
        chosen = [each for each in depot.all() if not tags or each.tag in tags]
        missing = [tag for tag in tags if tag not in {each.tag for each in chosen}]
        for tag in missing:
            depot.get(tag)  # says that there is none
        checker = _Checker(depot, on_bytes, read_data=read_data)
        findings = [finding for each in chosen for finding in checker.findings(each)]
        return Verified(len(chosen), len(checker.seen), checker.size, findings)


class _Checker:
    """Remembers what it has seen of each blob: nothing, or what is wrong with it."""

    def __init__(self, depot: Depot, on_bytes: OnBytes, *, read_data: bool) -> None:
        self._depot, self._on_bytes, self._read_data = depot, on_bytes, read_data
        self.seen: dict[Digest, str] = {}
        self.size = 0

    def findings(self, backup: Stored | Damaged) -> Iterator[Finding]:
        if isinstance(backup, Damaged):
            yield Finding(backup.tag, backup.why)
            return
        subject = subject_of(backup.manifest)
        for blob in (*backup.blobs, *([subject] if subject else [])):
            problem = self._checked(blob)
            if problem:
                yield Finding(backup.tag, problem, self._touched(backup, blob.digest))
        if self._read_data:
            yield from self._loose(backup)

    def _checked(self, blob: Descriptor) -> str:
        if blob.digest not in self.seen:
            self.seen[blob.digest] = self._look(blob)
            self.size += blob.size
            self._on_bytes(blob.size)
        return self.seen[blob.digest]

    def _look(self, blob: Descriptor) -> str:
        if not self._depot.place.has(blob):
            return f"blob {blob.digest} is missing, or has not its {blob.size} bytes"
        if self._read_data:
            try:
                verified(self._depot.place, blob).close()
            except LadingError as error:
                return str(error)
        return ""

    def _touched(self, backup: Stored, digest: Digest) -> tuple[str, ...]:
        """The parts that cannot be had whole without the blob."""
        found = []
        for part in backup.bill.parts:
            name = f"{part.kind} {part.name}".strip()
            try:
                is_needed = digest in self._depot.tree(part).packs
            except LadingError:
                is_needed = True
            if is_needed or part.tree.digest == str(digest):
                found.append(name)
        return tuple(found)

    def _loose(self, backup: Stored) -> Iterator[Finding]:
        """Files whose chunks their packs do not have."""
        with Contents.on(self._depot, backup.bill) as contents:
            for part in backup.bill.parts:
                try:
                    tree = self._depot.tree(part)
                    for number, first, count in {r for e in tree.entries for r in e.runs}:
                        if self.seen.get(tree.packs[number]):
                            continue  # told already
                        rows = contents.pack(tree.packs[number]).rows
                        if first + count > len(rows):
                            raise Corrupt(f"pack {tree.packs[number]} lacks chunks")
                except LadingError as error:
                    if not self.seen.get(part.tree.descriptor.digest):
                        yield Finding(backup.tag, str(error), (f"{part.kind} {part.name}",))
