"""What every place for backups keeps, wherever it is."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

import backup_box
from lading.backup import bill as bills
from lading.backup import mediatypes as media
from lading.backup import target as targets
from lading.backup import verifying
from lading.backup.copying import copy
from lading.backup.depot import Depot, keep_target, open_depot
from lading.backup.locations import Location
from lading.backup.place import Place, add_bytes, read_verified, verified
from lading.backup.pruning import prune
from lading.backup.retention import Policy
from lading.backup.slots import Secret
from lading.errors import Conflict, LadingError
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.store.blobs import UnexpectedContent

KIND = "application/vnd.lading.pack.v1"


@dataclass(frozen=True)
class Shore:
    """Where a place is: *location* is opened, *files* are what it keeps there in the end."""

    location: Location
    files: Path

    def open(self) -> Place:
        return self.location.open(make=True)

    def depot(self, secret: Secret | None = None) -> Depot:
        return open_depot(self.location, secret, make=True)

    def kept(self, digest: Digest) -> Path:
        """The file that holds a blob."""
        files = (path for path in self.files.rglob("*") if digest.hex in str(path))
        return next(path for path in files if path.is_file() and "link" not in path.name)


class Failing(io.RawIOBase):
    """A stream that breaks off."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        found = self._content.readinto(buffer)  # type: ignore[arg-type]  # as it is called
        if not found:
            raise OSError("the other side went away")
        return found


def described(content: bytes) -> Descriptor:
    return Descriptor(KIND, Digest.of(content), len(content))


def together(*jobs: Callable[[], object]) -> None:
    """Do all at once; what fails fails the test."""
    failures: list[BaseException] = []

    def run(job: Callable[[], object]) -> None:
        try:
            job()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


class PlaceContract:
    """Subclasses have a fixture `shore`."""

    def test_what_is_kept_comes_back_from_any_byte_on(self, shore: Shore) -> None:
        content = os.urandom(3_000_000)
        descriptor = add_bytes(shore.open(), KIND, content)
        place = shore.open()
        assert place.has(descriptor)
        with place.open(descriptor) as stream:
            for at, length in ((2_999_990, 10), (5, 100_000), (100_005, 70_000), (0, 8)):
                stream.seek(at)
                assert stream.read(length) == content[at : at + length]
        with verified(place, descriptor) as stream:
            assert stream.read() == content

    def test_wrong_bytes_are_never_kept(self, shore: Shore) -> None:
        place, right = shore.open(), b"right"
        for wrong in (b"wrong", b"right and more", b""):
            with pytest.raises(UnexpectedContent):
                place.add(described(right), io.BytesIO(wrong))
        assert not place.has(described(right))

    def test_a_transfer_that_breaks_off_leaves_nothing_and_can_be_done_again(
        self, shore: Shore
    ) -> None:
        content = os.urandom(1_000_000)
        place, descriptor = shore.open(), described(content)
        with pytest.raises((LadingError, OSError)):
            place.add(descriptor, io.BufferedReader(Failing(content[:600_000])))
        assert not place.has(descriptor)
        assert not shore.open().names()
        place.add(descriptor, io.BytesIO(content))
        assert read_verified(shore.open(), descriptor, len(content)) == content

    def test_names_of_many_writers_all_stay(self, shore: Shore) -> None:
        manifest = keep_target(shore.open(), targets.new(None))

        def write(number: int) -> None:
            for n in range(3):
                shore.open().rename(lambda _, n=n: {f"tag-{number}-{n}": manifest}, "kind")

        together(*(lambda n=n: write(n) for n in range(3)))  # type: ignore[misc]  # bound now
        assert len(shore.open().names()) == 9

    def test_a_name_can_be_taken_away(self, shore: Shore) -> None:
        one, other = (keep_target(shore.open(), targets.new(None)) for _ in range(2))
        shore.open().rename(lambda _: {"one": one, "other": other}, "kind")
        shore.open().rename(lambda _: {"one": None, "never": None}, "")
        assert {tag: found.digest for tag, (found, _) in shore.open().names().items()} == {
            "other": other.digest
        }

    @pytest.mark.parametrize("secret", [None, backup_box.PHRASE], ids=["plain", "sealed"])
    def test_a_backup_comes_back_whole(
        self, shore: Shore, tmp_path: Path, secret: Secret | None
    ) -> None:
        data, again = tmp_path / "data", tmp_path / "again"
        data.mkdir()
        again.mkdir()
        backup_box.fill(data)
        depot = shore.depot(secret)
        captured, added = backup_box.capture(depot, data)
        made = backup_box.bill(depot, {("volume", "site"): captured})
        backup_box.keep(depot, made)
        assert added > 3 * 1024 * 1024
        depot = shore.depot(secret)
        assert [each.tag for each in depot.stored()] == [made.ref]
        backup_box.lay_out(depot, captured, again)
        assert (again / "large").read_bytes() == (data / "large").read_bytes()
        assert backup_box.capture(depot, data, captured)[1] == 0
        found = verifying.verify(depot, [], read_data=True, on_bytes=lambda _: None)
        assert not found.findings

    def test_tampering_is_noticed(self, shore: Shore, tmp_path: Path) -> None:
        made = _one_backup(shore, tmp_path)
        pack = made.packs[0].descriptor
        path = shore.kept(pack.digest)
        with backup_box.flipped(path):
            with pytest.raises(LadingError):
                read_verified(shore.open(), pack, pack.size)
            found = verifying.verify(shore.depot(), [], read_data=True, on_bytes=lambda _: None)
            assert [each.problem for each in found.findings]
        path.unlink()
        found = verifying.verify(shore.depot(), [], read_data=True, on_bytes=lambda _: None)
        assert [each.problem for each in found.findings]

    def test_who_loses_the_race_to_make_a_target_names_nothing_under_his_keys(
        self, shore: Shore
    ) -> None:
        loser = shore.depot(backup_box.PHRASE)
        winner = keep_target(shore.open(), targets.new(backup_box.PHRASE))
        shore.open().rename(lambda _: {targets.TAG: winner}, media.TARGET)
        with pytest.raises(Conflict, match="made by another meanwhile"):
            loser.name({"web-1": winner})
        assert set(shore.open().names()) == {targets.TAG}

    def test_a_name_that_is_taken_stays_what_it_was(self, shore: Shore, tmp_path: Path) -> None:
        made = _one_backup(shore, tmp_path)
        depot = shore.depot()
        with pytest.raises(Conflict, match="meanwhile"):
            depot.name({made.ref: depot.tags()[made.ref]})

    def test_pruning_takes_what_is_not_kept_and_leaves_the_rest_whole(
        self, shore: Shore, tmp_path: Path
    ) -> None:
        old = _one_backup(shore, tmp_path)
        depot = shore.depot()
        new = msgspec.structs.replace(old, ref="web-new", created=old.created + 1)
        backup_box.keep(depot, new)
        pruned = prune(shore.depot(), Policy(last=1), dry_run=False)
        assert (pruned.removed, pruned.warnings) == ([old.ref], [])
        depot = shore.depot()
        assert list(depot.tags()) == ["web-new"]
        found = verifying.verify(depot, [], read_data=True, on_bytes=lambda _: None)
        assert not found.findings

    def test_a_backup_is_carried_here_and_away(self, shore: Shore, tmp_path: Path) -> None:
        here = backup_box.box(tmp_path)
        assert copy(here.depot, here.bill.ref, shore.location) > 0
        assert copy(here.depot, here.bill.ref, shore.location) == 0
        away = Location.parse(str(tmp_path / "away"))
        copy(shore.depot(), here.bill.ref, away)
        assert open_depot(away, None).get(here.bill.ref).bill == here.bill


def _one_backup(shore: Shore, place: Path) -> bills.Bill:
    data = place / "data"
    data.mkdir()
    backup_box.fill(data)
    depot = shore.depot()
    captured, _ = backup_box.capture(depot, data)
    made = backup_box.bill(depot, {("volume", "site"): captured})
    backup_box.keep(depot, made)
    return made
