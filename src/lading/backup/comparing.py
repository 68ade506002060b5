"""What changed between two backups: options, image, and files part by part (pure)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from lading.backup.bill import IMAGE, Bill
from lading.backup.tree import Entry, Kind, Tree


@dataclass(frozen=True, slots=True)
class Difference:
    """*kind* is ``A``, ``C`` or ``D``; *part* is ``option`` for what is no file."""

    kind: str
    part: str
    path: str


def options(old: Bill, new: Bill) -> Iterator[Difference]:
    """Options that differ, by their names in Docker's API."""
    before, after = _options(old), _options(new)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield Difference("C", "option", f"{name}: {before.get(name)} -> {after.get(name)}")


def trees(part: str, old: Tree | None, new: Tree | None) -> Iterator[Difference]:
    """Files that differ in one part, by path."""
    before = {e.path: _seen(e, old) for e in old.entries} if old else {}
    after = {e.path: _seen(e, new) for e in new.entries} if new else {}
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) == after.get(path):
            continue
        kind = "A" if path not in before else "D" if path not in after else "C"
        yield Difference(kind, part, "/" + path.decode(errors="backslashreplace"))


def parts(old: Bill, new: Bill) -> list[tuple[str, str]]:
    """The kinds and names of all parts of files, of either."""
    found = [(p.kind, p.name) for bill in (old, new) for p in bill.parts if p.kind != IMAGE]
    return list(dict.fromkeys(found))


def _options(bill: Bill) -> dict[str, Any]:
    cargo = bill.container
    found = {"Name": cargo.name, "ImageID": bill.image.id}
    for prefix, value in (("", cargo.config), ("HostConfig.", cargo.host)):
        found |= {prefix + key: each for key, each in msgspec.to_builtins(value).items()}
    found["NetworkingConfig"] = msgspec.to_builtins(cargo.networking)
    return found


def _seen(entry: Entry, tree: Tree) -> tuple[Any, ...]:
    """All that a user can see of a file; its content by where it is stored."""
    is_directory = entry.kind == Kind.DIRECTORY
    return (
        entry.kind,
        entry.mode,
        entry.uid,
        entry.gid,
        0 if is_directory else entry.mtime,  # every change inside dates it anew
        entry.size,
        entry.target,
        (entry.major, entry.minor),
        entry.xattrs,
        entry.extents,
        [(tree.packs[pack], first, count) for pack, first, count in entry.runs],
    )
