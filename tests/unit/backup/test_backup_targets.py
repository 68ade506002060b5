"""Targets: keys, names, blobs, and what is noticed when somebody meddles with them."""

from __future__ import annotations

import io
import json
import os
import shutil
import threading
from pathlib import Path

import msgspec
import pytest

import backup_box
from backup_box import CREATED, PHRASE, bill, box, capture, depot, flipped, keep
from lading.backup import locations, retention, slots, verifying
from lading.backup import target as targets
from lading.backup.browsing import NotInBackup, cat, files
from lading.backup.commandline import run_line
from lading.backup.comparing import trees
from lading.backup.copying import copy
from lading.backup.depot import Damaged, Depot, NoSuchBackup, open_depot
from lading.backup.layout import InUse, Layout, NoSuchTarget, NotALayout
from lading.backup.locations import InvalidLocation, Location
from lading.backup.pins import Pins, TargetChanged
from lading.backup.place import DamagedAtTarget, add_bytes
from lading.backup.pruning import prune
from lading.backup.retention import Policy
from lading.backup.sealing import CIPHERS, Keys, NotAuthentic, open_document, seal_document
from lading.backup.slots import Secret, WrongSecret
from lading.backup.target import NotEncrypted, SecretWanted
from lading.backup.unpacking import unpack
from lading.backup.verifying import Verified
from lading.errors import Conflict, Corrupt, Invalid, Unsupported
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.store.blobs import UnexpectedContent
from lading.store.database import Database

KEY_FILE = Secret.key_file(bytes(range(64)))


def open_(folder: Path, secret: Secret | None = None) -> Depot:
    return open_depot(Location.parse(str(folder)), secret)


def verify(place: Depot, *, read_data: bool = True) -> Verified:
    return verifying.verify(place, read_data=read_data, on_bytes=lambda _: None)


class TestSecrets:
    @pytest.mark.parametrize("cipher", CIPHERS)
    @pytest.mark.parametrize("secret", [PHRASE, KEY_FILE], ids=["passphrase", "key file"])
    def test_the_right_one_opens_and_no_other(self, cipher: str, secret: Secret) -> None:
        document = targets.decode(targets.encode(targets.new(secret, cipher)))
        keys = document.keys(secret)
        assert keys is not None
        other = "keyfile" if secret.kind == "passphrase" else "passphrase"
        for wrong in (Secret(secret.kind, b"w" * 40), Secret(other, secret.content)):
            with pytest.raises(WrongSecret):
                document.keys(wrong)

    def test_a_second_one_opens_the_same_key(self) -> None:
        document = targets.new(PHRASE)
        keys = document.keys(PHRASE)
        assert keys is not None
        both = document.with_secret(keys, KEY_FILE)
        assert both.keys(KEY_FILE) == both.keys(PHRASE) == keys

    def test_a_slot_that_asks_for_too_much_is_refused(self) -> None:
        document = targets.new(PHRASE)
        greedy = msgspec.structs.replace(document.slots[0], n=2**30)
        with pytest.raises(Corrupt, match="too much"):
            slots.unwrap([greedy], PHRASE, bytes(16), document.encryption)

    def test_a_slot_of_another_target_does_not_open(self) -> None:
        document, other = targets.new(PHRASE), targets.new(PHRASE)
        mixed = msgspec.structs.replace(other, slots=document.slots)
        with pytest.raises(WrongSecret):
            mixed.keys(PHRASE)

    def test_a_line_ending_is_not_part_of_a_passphrase(self) -> None:
        assert Secret.passphrase(b"x\r\n") == Secret.passphrase(b"x\n") == Secret.passphrase(b"x")

    @pytest.mark.parametrize("make", [Secret.passphrase, Secret.key_file])
    def test_too_little_is_refused(self, make: type) -> None:
        with pytest.raises(Invalid):
            make(b"\n")

    def test_documents_are_bound_to_kind_and_target(self) -> None:
        keys = Keys(bytes(32), bytes(16), CIPHERS[0])
        sealed = seal_document(keys, "bill", b"content")
        assert open_document(keys, "bill", sealed, "x") == b"content"
        with pytest.raises(NotAuthentic):
            open_document(keys, "tree", sealed, "x")
        with pytest.raises(NotAuthentic):
            open_document(Keys(bytes(32), b"1" * 16, CIPHERS[0]), "bill", sealed, "x")
        with pytest.raises(NotAuthentic):
            open_document(keys, "bill", b"", "x")


class TestLocations:
    @pytest.mark.parametrize(
        "text",
        [
            "/a/b",
            "oci:/a/b",
            "/a:b/c",
            "ghcr.io/a/b",
            "localhost:5000/a",
            "s3://bucket/a/b",
            "s3://bucket",
            "ssh://me@host:2222/a/b",
            "ssh://[::1]/a",
        ],
    )
    def test_a_printed_ref_is_taken_as_it_is(self, text: str) -> None:
        location = Location.parse(text)
        tag = locations.tag_of("web", "20260131T100000.000Z")
        assert locations.split(location.ref(tag)) == (location, tag)

    @pytest.mark.parametrize("text", ["docker://x"])
    def test_what_is_not_there_yet_is_refused_by_name(self, text: str) -> None:
        with pytest.raises(Unsupported, match="not supported as backup targets yet"):
            Location.parse(text)

    @pytest.mark.parametrize(
        "text", ["", "oci:", "relative", "a\0b", "ghcr.io/a:tag", "ghcr.io/a@b"]
    )
    def test_nonsense_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidLocation):
            Location.parse(text)

    @pytest.mark.parametrize(
        "text",
        [
            "s3://",
            "s3://B/x",
            "s3://bucket/../x",
            "s3://bucket//x",
            "ssh://host",
            "ssh://host/",
            "ssh://-oProxyCommand=x/a",
            "ssh://-l@host/a",
            "ssh://me@-host/a",
            "ssh://a b/c",
            "ssh://host:99999/a",
            "ssh://host/a/../b",
            "ssh://host/%00",
            "ssh://me@you@host/a",
        ],
    )
    def test_what_another_program_could_take_for_something_else_is_refused(self, text: str) -> None:
        with pytest.raises(Invalid, match="invalid backup target"):
            Location.parse(text)

    @pytest.mark.parametrize("text", ["/a", "/a:", "/a:b/c", "/a:-x", "/a:" + "x" * 129])
    def test_what_is_no_ref_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidLocation):
            locations.split(text)


class TestLayout:
    def test_other_people_s_directories_are_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        for make in (True, False):
            with pytest.raises(NotALayout):
                Layout(tmp_path, make=make)
        assert os.listdir(tmp_path) == ["file"]

    def test_a_target_to_read_must_be_there(self, tmp_path: Path) -> None:
        with pytest.raises(NoSuchTarget):
            Layout(tmp_path / "none")
        assert not (tmp_path / "none").exists()

    def test_wrong_bytes_are_never_kept(self, tmp_path: Path) -> None:
        place = Layout(tmp_path / "t", make=True)
        descriptor = Descriptor("x", Digest.of(b"right"), 5)
        for wrong in (b"wrong", b"right and more", b""):
            with pytest.raises(UnexpectedContent):
                place.add(descriptor, io.BytesIO(wrong))
        assert not place.has(descriptor)
        assert [p.name for p in (tmp_path / "t" / ".lading").glob("part-*")] == []

    def test_a_link_in_a_blob_s_place_is_not_followed(self, tmp_path: Path) -> None:
        place = Layout(tmp_path / "t", make=True)
        descriptor = add_bytes(place, "x", b"content")
        blob = tmp_path / "t" / "blobs" / "sha256" / descriptor.digest.hex
        blob.unlink()
        blob.symlink_to("/etc/passwd")
        assert not place.has(descriptor)
        with pytest.raises(DamagedAtTarget):
            place.open(descriptor)

    def test_names_of_many_writers_all_stay(self, tmp_path: Path) -> None:
        descriptor = add_bytes(Layout(tmp_path / "t", make=True), "x", b"content")

        def write(number: int) -> None:
            for n in range(8):
                tags = {f"tag-{number}-{n}": descriptor}
                Layout(tmp_path / "t", make=True).rename(lambda _, tags=tags: tags, "kind")

        threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(Layout(tmp_path / "t").names()) == 32

    def test_foreign_rows_of_the_index_stay(self, tmp_path: Path) -> None:
        place = Layout(tmp_path / "t", make=True)
        descriptor = add_bytes(place, "x", b"content")
        foreign = {**descriptor.document(), "platform": {"os": "linux", "architecture": "x"}}
        index = tmp_path / "t" / "index.json"
        document = json.loads(index.read_text())
        index.write_text(json.dumps({**document, "manifests": [foreign]}))
        place.rename(lambda _: {"mine": descriptor}, "kind")
        assert foreign in json.loads(index.read_text())["manifests"]

    def test_nobody_sweeps_while_somebody_writes(self, tmp_path: Path) -> None:
        place = Layout(tmp_path / "t", make=True)
        with place.held(), pytest.raises(InUse), Layout(tmp_path / "t").held(alone=True):
            pass
        with place.held(), place.held():
            pass


@pytest.fixture(params=[None, PHRASE], ids=["plain", "sealed"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> backup_box.Box:
    return box(tmp_path, request.param)


class TestTargets:
    def test_one_is_encrypted_or_plain_from_the_first_backup_on(self, tmp_path: Path) -> None:
        depot(tmp_path / "plain")
        depot(tmp_path / "sealed", PHRASE)
        with pytest.raises(NotEncrypted):
            depot(tmp_path / "plain", PHRASE)
        with pytest.raises(SecretWanted):
            depot(tmp_path / "sealed")
        with pytest.raises(WrongSecret):
            depot(tmp_path / "sealed", Secret.passphrase(b"wrong"))

    def test_it_is_not_quietly_made_plain(self, tmp_path: Path) -> None:
        pins = Pins(Database(tmp_path / "state.db"))
        pins.keep(depot(tmp_path / "t", PHRASE))
        shutil.rmtree(tmp_path / "t")
        with pytest.raises(TargetChanged):
            pins.check(depot(tmp_path / "t"))

    def test_backups_that_went_away_are_told(self, tmp_path: Path, made: backup_box.Box) -> None:
        pins = Pins(Database(tmp_path / "state.db"))
        assert pins.check(made.depot) == []
        pins.keep(made.depot)
        old = (made.folder / "index.json").read_bytes()
        keep(made.depot, msgspec.structs.replace(made.bill, ref="web-2"))
        pins.keep(made.depot)
        assert pins.check(made.depot) == []
        (made.folder / "index.json").write_bytes(old)  # an older list is put back
        assert "web-2" in pins.check(made.depot)[0]

    def test_an_encrypted_one_shows_nothing_of_what_is_in_it(self, tmp_path: Path) -> None:
        sealed = box(tmp_path, PHRASE)
        everything = b"".join(p.read_bytes() for p in sealed.folder.rglob("*") if p.is_file())
        for secret in (b"some words", b"site", b"base:latest", b"in the middle", b'"Cmd"'):
            assert secret not in everything


class TestTampering:
    def test_every_flipped_blob_is_noticed_and_named(self, made: backup_box.Box) -> None:
        assert verify(made.depot).findings == []
        for blob in made.depot.get(made.bill.ref).blobs:
            with flipped(made.blob(blob.digest)):
                findings = verify(open_(made.folder, PHRASE if made.depot.is_sealed else None))
                assert findings.findings, blob
                assert {each.tag for each in findings.findings} == {made.bill.ref}
        assert verify(made.depot).findings == []

    def test_a_missing_pack_names_the_part_that_it_breaks(self, made: backup_box.Box) -> None:
        pack = made.captured.packs[-1]
        made.blob(pack.digest).unlink()
        (finding,) = verify(made.depot, read_data=False).findings
        assert finding.parts == ("volume site",)
        assert str(pack.digest) in finding.problem

    def test_a_truncated_blob_is_noticed_without_reading_it(self, made: backup_box.Box) -> None:
        blob = made.blob(made.captured.packs[-1].digest)
        blob.write_bytes(blob.read_bytes()[:-1])
        assert verify(made.depot, read_data=False).findings

    def test_a_renamed_backup_is_not_authentic(self, made: backup_box.Box) -> None:
        descriptor = made.depot.tags()[made.bill.ref]
        made.depot.name({"web-newer": descriptor})
        with pytest.raises(NotAuthentic, match="web-newer"):
            made.depot.get("web-newer")

    def test_a_manifest_that_lost_a_blob_is_not_authentic(self, made: backup_box.Box) -> None:
        stored = made.depot.get(made.bill.ref)
        document = json.loads(stored.manifest.raw)
        document["layers"].pop()
        media_type = stored.descriptor.media_type
        shorter = add_bytes(made.depot.place, media_type, json.dumps(document).encode())
        made.depot.place.rename(
            lambda _: {made.bill.ref: shorter}, "application/vnd.lading.backup.v1"
        )
        with pytest.raises(NotAuthentic):
            made.depot.get(made.bill.ref)

    def test_a_damaged_one_spoils_no_other(self, made: backup_box.Box) -> None:
        other = msgspec.structs.replace(made.bill, ref="web-2", created=CREATED + 1)
        keep(made.depot, other)
        config = made.depot.get(made.bill.ref).manifest.config
        with flipped(made.blob(config.digest)):
            kinds = {each.tag: type(each) for each in made.depot.all()}
            assert kinds[made.bill.ref] is Damaged
            assert kinds["web-2"] is not Damaged


class TestLookingInside:
    def test_files_are_shown_where_the_container_has_them(self, made: backup_box.Box) -> None:
        stored = made.depot.get(made.bill.ref)
        found = {each.path for each in files(made.depot, stored)}
        assert {b"/", b"/data", b"/data/folder/text", b"/data/sparse"} <= found

    @pytest.mark.parametrize("name", ["folder/text", "large", "sparse", "folder/empty"])
    def test_cat_gives_every_byte(self, made: backup_box.Box, name: str) -> None:
        stored = made.depot.get(made.bill.ref)
        content = b"".join(cat(made.depot, stored, f"/data/{name}"))
        assert content == (made.data / name).read_bytes()

    @pytest.mark.parametrize("path", ["/none", "/data/none", "/data/../data/none", ""])
    def test_what_is_not_there_is_said(self, made: backup_box.Box, path: str) -> None:
        with pytest.raises((NotInBackup, Invalid)):
            list(cat(made.depot, made.depot.get(made.bill.ref), path))

    def test_a_backup_that_is_not_there_is_named(self, made: backup_box.Box) -> None:
        with pytest.raises(NoSuchBackup, match="web-none"):
            made.depot.get("web-none")

    def test_differences_are_told_by_path(self, made: backup_box.Box) -> None:
        before = made.depot.tree(made.bill.parts[1])
        (made.data / "folder" / "empty").unlink()
        (made.data / "added").touch()
        (made.data / "folder" / "text").write_text("other")
        captured, _ = capture(made.depot, made.data, made.captured)
        after = made.depot.tree(bill(made.depot, {("volume", "site"): captured}).parts[0])
        told = {(each.kind, each.path) for each in trees("volume site", before, after)}
        assert told == {("A", "/added"), ("D", "/folder/empty"), ("C", "/folder/text")}

    def test_the_run_line_has_what_matters(self, made: backup_box.Box) -> None:
        line = run_line(made.bill)
        assert line.startswith("docker run --detach --name web --network none --volume site:/data")
        assert line.endswith(" base sh")

    def test_unpacked_it_is_plain_files(self, made: backup_box.Box, tmp_path: Path) -> None:
        written = unpack(made.depot, made.depot.get(made.bill.ref), tmp_path / "out")
        assert {p.name for p in written} == {"image.tar", "1-site.tar", "run.sh"}
        with pytest.raises(Conflict, match="not empty"):
            unpack(made.depot, made.depot.get(made.bill.ref), tmp_path / "out")


class TestCopying:
    def test_a_copy_is_whole_without_the_original(
        self, made: backup_box.Box, tmp_path: Path
    ) -> None:
        to = Location.parse(str(tmp_path / "copy"))
        assert copy(made.depot, made.bill.ref, to) > 0
        assert copy(made.depot, made.bill.ref, to) == 0
        shutil.rmtree(made.folder)
        copied = open_(tmp_path / "copy", PHRASE if made.depot.is_sealed else None)
        assert verify(copied).findings == []
        assert copied.get(made.bill.ref).bill == made.bill

    def test_one_under_another_key_is_refused(self, tmp_path: Path) -> None:
        sealed = box(tmp_path, PHRASE)
        depot(tmp_path / "other", PHRASE)
        with pytest.raises(Unsupported, match="another key"):
            copy(sealed.depot, sealed.bill.ref, Location.parse(str(tmp_path / "other")))


class TestPruning:
    def test_what_nobody_names_any_more_is_freed(self, made: backup_box.Box) -> None:
        (made.data / "large").write_bytes(os.urandom(2_000_000))
        captured, _ = capture(made.depot, made.data, made.captured)
        newer = bill(made.depot, {("volume", "site"): captured}, created=CREATED + 10**9)
        keep(made.depot, newer)
        dry = prune(made.depot, Policy(last=1), dry_run=True)
        assert dry.removed == [made.bill.ref] and dry.freed == 0
        assert verify(made.depot).backups == 2
        pruned = prune(made.depot, Policy(last=1), dry_run=False)
        assert pruned.removed == [made.bill.ref]
        assert pruned.freed > 0
        assert verify(made.depot).findings == []
        assert prune(made.depot, Policy(last=1), dry_run=False).blobs == 0

    def test_nothing_is_freed_where_a_manifest_cannot_be_read(self, made: backup_box.Box) -> None:
        stray = add_bytes(made.depot.place, "x", b"named by nobody")
        with flipped(made.blob(made.depot.tags()[made.bill.ref].digest)):
            pruned = prune(made.depot, Policy(last=1), dry_run=False)
            assert pruned.warnings and pruned.blobs == 0
        assert made.depot.place.has(stray)

    def test_it_waits_for_nobody_who_writes(self, made: backup_box.Box) -> None:
        with made.depot.place.held(), pytest.raises(InUse):
            prune(made.depot, Policy(last=1), dry_run=False)

    def test_the_newest_of_each_period_stay(self, made: backup_box.Box) -> None:
        hour, day = 3600 * 10**9, 24 * 3600 * 10**9
        start = 1_790_000_000 * 10**9 // day * day
        bills = [
            msgspec.structs.replace(made.bill, ref=f"web-{n}", created=start + n * hour)
            for n in range(72)
        ]
        kept = retention.kept(bills, Policy(last=2, hourly=3, daily=2))
        assert kept == {
            "web-71": ["last", "hourly", "daily"],
            "web-70": ["last", "hourly"],
            "web-69": ["hourly"],
            "web-47": ["daily"],
        }

    def test_each_container_has_its_own(self, made: backup_box.Box) -> None:
        cargo = backup_box.container("db")
        other = msgspec.structs.replace(made.bill, ref="db-1", container=cargo, created=1)
        assert set(retention.kept([made.bill, other], Policy(last=1))) == {made.bill.ref, "db-1"}

    @pytest.mark.parametrize("policy", [Policy(), Policy(last=-1, daily=3)])
    def test_a_policy_that_keeps_nothing_is_refused(self, policy: Policy) -> None:
        with pytest.raises(Invalid):
            policy.check()
