"""Blobs, uploads and collection on a real store and database, with a clock of the test's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lading.oci.digest import Digest
from lading.registry.server.blobs import BlobUnknown
from lading.registry.server.collector import Collector
from lading.registry.server.documents import Document
from lading.registry.server.holdings import Holdings, open_root
from lading.registry.server.manifests import ManifestBlobUnknown
from lading.registry.server.rights import EVERYTHING
from lading.registry.server.tokens import InvalidToken, Tokens
from lading.registry.server.uploads import DigestMismatch, UploadBusy, UploadUnknown
from lading.registry.server.users import InvalidUser, User, UserExists, hashed, matches
from lading.store.blobs import DamagedBlob

KIND = "application/vnd.oci.image.manifest.v1+json"


class Clock:
    """A time that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def holdings(tmp_path: Path, clock: Clock) -> Iterator[Holdings]:
    with ExitStack() as undo:
        yield open_root(tmp_path / "root", undo, clock=clock)


def push(holdings: Holdings, content: bytes, repository: str = "a") -> Digest:
    upload = holdings.uploads.begin(repository, "")
    upload.append([content])
    holdings.uploads.finish(upload, Digest.of(content))
    return Digest.of(content)


def document(*blobs: bytes) -> Document:
    rows = [{"mediaType": "a/b", "digest": str(Digest.of(b)), "size": len(b)} for b in blobs]
    raw = json.dumps({"schemaVersion": 2, "config": rows[0], "layers": rows[1:]}).encode()
    return Document.parse(raw, Digest.of(raw), KIND)


def collector(holdings: Holdings, clock: Clock, grace: float = 100.0) -> Collector:
    parts = (holdings.store, holdings.database, holdings.turnstile)
    return Collector(*parts, grace=grace, clock=clock)


class TestBlobs:
    def test_a_repository_reads_what_it_has_a_link_to(self, holdings: Holdings) -> None:
        digest = push(holdings, b"x", "a")
        with pytest.raises(BlobUnknown):
            holdings.blobs.open("b", digest)
        assert holdings.blobs.mount(digest, "a", "b", "")
        with holdings.blobs.open("b", digest) as file:
            assert file.read() == b"x"
        holdings.blobs.remove("a", digest)
        with pytest.raises(BlobUnknown):
            holdings.blobs.open("a", digest)
        assert not holdings.blobs.mount(digest, "a", "c", "")

    def test_what_changed_on_disk_is_put_aside(self, holdings: Holdings) -> None:
        digest = push(holdings, b"x")
        holdings.store.path(digest).write_bytes(b"y")
        with pytest.raises(DamagedBlob):
            holdings.blobs.open("a", digest)
        assert not holdings.blobs.has("a", digest)
        push(holdings, b"x")
        holdings.blobs.open("a", digest).close()


class TestUploads:
    def test_only_its_repository_and_user_find_it(self, holdings: Holdings) -> None:
        upload = holdings.uploads.begin("a", "alice")
        assert holdings.uploads.find(upload.id, "a", "alice") is upload
        for id, repository, user in (
            (upload.id, "b", "alice"),
            (upload.id, "a", "bob"),
            ("../" + upload.id, "a", "alice"),
            ("0" * 48, "a", "alice"),
        ):
            with pytest.raises(UploadUnknown):
                holdings.uploads.find(id, repository, user)

    def test_one_request_at_a_time(self, holdings: Holdings) -> None:
        upload = holdings.uploads.begin("a", "")
        with upload.claimed(), pytest.raises(UploadBusy), upload.claimed():
            raise AssertionError("claimed twice")
        with upload.claimed():
            pass

    def test_another_content_is_refused_and_gone(self, holdings: Holdings) -> None:
        upload = holdings.uploads.begin("a", "")
        upload.append([b"wrong"])
        with pytest.raises(DigestMismatch):
            holdings.uploads.finish(upload, Digest.of(b"right"))
        assert not upload.part.exists()
        assert not holdings.store.has(Digest.of(b"wrong"))

    def test_what_nobody_went_on_with_is_swept(self, holdings: Holdings, clock: Clock) -> None:
        old = holdings.uploads.begin("a", "")
        clock.now += 50
        fresh = holdings.uploads.begin("a", "")
        clock.now += 60
        assert holdings.uploads.sweep(100) == 1
        assert not old.part.exists()
        assert holdings.uploads.find(fresh.id, "a", "") is fresh


class TestManifests:
    def test_it_needs_what_it_names(self, holdings: Holdings) -> None:
        push(holdings, b"c")
        with pytest.raises(ManifestBlobUnknown) as caught:
            holdings.manifests.put("a", document(b"c", b"l"), ["t"], "")
        assert caught.value.digests == [Digest.of(b"l")]

    def test_a_tag_moves_whole(self, holdings: Holdings) -> None:
        push(holdings, b"c")
        push(holdings, b"l")
        one, two = document(b"c"), document(b"c", b"l")
        for each in (one, two):
            holdings.manifests.put("a", each, ["t"], "")
        assert holdings.manifests.find("a", "t").digest == two.digest
        assert holdings.manifests.find("a", one.digest).digest == one.digest


class TestCollector:
    def test_what_a_manifest_names_stays_for_ever(self, holdings: Holdings, clock: Clock) -> None:
        push(holdings, b"c")
        holdings.manifests.put("a", document(b"c"), [], "")
        clock.now += 10**6
        assert collector(holdings, clock).collect().blobs == []

    def test_what_nothing_names_goes_after_the_grace(
        self, holdings: Holdings, clock: Clock
    ) -> None:
        digest = push(holdings, b"c")
        clock.now += 99
        assert collector(holdings, clock).collect().blobs == []
        clock.now += 2
        assert collector(holdings, clock).preview().blobs == [str(digest)]
        swept = collector(holdings, clock).collect()
        assert (swept.blobs, swept.bytes) == ([str(digest)], 1)
        assert not holdings.store.has(digest)

    def test_a_long_upload_keeps_what_its_push_saw(self, holdings: Holdings, clock: Clock) -> None:
        push(holdings, b"c")
        slow = holdings.uploads.begin("a", "")
        clock.now += 10_000
        assert collector(holdings, clock).collect().blobs == []
        slow.append([b"l"])
        holdings.uploads.finish(slow, Digest.of(b"l"))
        clock.now += 50
        assert collector(holdings, clock).collect().blobs == []
        holdings.manifests.put("a", document(b"c", b"l"), ["t"], "")

    def test_a_look_at_a_blob_renews_it(self, holdings: Holdings, clock: Clock) -> None:
        digest = push(holdings, b"c")
        clock.now += 90
        holdings.blobs.seen("a", digest)
        clock.now += 90
        assert collector(holdings, clock).collect().blobs == []

    def test_a_blob_stays_while_one_repository_has_it(
        self, holdings: Holdings, clock: Clock
    ) -> None:
        digest = push(holdings, b"c", "a")
        push(holdings, b"c", "b")
        holdings.manifests.put("b", document(b"c"), [], "")
        clock.now += 1000
        swept = collector(holdings, clock).collect()
        assert (swept.links, swept.blobs) == ([f"a@{digest}"], [])

    def test_a_preview_changes_nothing(self, holdings: Holdings, clock: Clock) -> None:
        digest = push(holdings, b"c")
        clock.now += 1000
        collector(holdings, clock).preview()
        assert holdings.blobs.has("a", digest)


class TestUsers:
    def test_a_password_is_known_again(self) -> None:
        kept = hashed("a long word", rounds=4)
        assert matches("a long word", kept)
        assert not matches("a long worD", kept)
        assert not matches("a long word", b"{SHA}nonsense")

    @pytest.mark.parametrize("password", ["", "short", "x" * 73, "eight\0bytes"])
    def test_what_bcrypt_would_cut_is_refused(self, password: str) -> None:
        with pytest.raises(InvalidUser):
            hashed(password, rounds=4)

    def test_accounts_expire(self, holdings: Holdings, clock: Clock) -> None:
        user = User("r", b"$2b$", (EVERYTHING,), robot=True, expires=clock.now + 10)
        holdings.users.add(user)
        assert holdings.users.find("r") == user
        with pytest.raises(UserExists):
            holdings.users.add(user)
        clock.now += 10
        assert holdings.users.find("r") is None

    def test_tokens_expire(self, clock: Clock) -> None:
        tokens = Tokens(b"k" * 32, "s", clock=clock)
        token = tokens.sign("alice", [EVERYTHING])
        assert tokens.check(token).name == "alice"
        clock.now += 301
        with pytest.raises(InvalidToken):
            tokens.check(token)
        with pytest.raises(InvalidToken):
            Tokens(b"j" * 32, "s", clock=clock).check(token)
