"""Images carried to registries and between places."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from image_box import (
    CONFIG,
    INDEX,
    LAYER,
    Box,
    Layout,
    config,
    docker_archive,
    large_layer,
    sha256,
    tar_of,
)
from lading.errors import Invalid, LadingError, NotFound
from lading.image import archive, transfer
from lading.image.repacking import repacked
from lading.image.saving import LibrarySource
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.oci.platform import Platform
from lading.oci.reference import Reference
from lading.registry.crossing import carry
from lading.registry.failures import Refusal
from lading.registry.hosts import Registries
from lading.registry.places import archiving, tarball
from lading.registry.places.layout import Layout as Folder
from lading.registry.places.layout import NoSuchName
from lading.registry.remote import Repository
from lading.registry.remotes import Remotes
from lading.registry.sides import RegistrySource, RegistryTarget
from lading.registry.upload import mount, upload
from lading.store.blobs import DamagedBlob, UnexpectedContent
from tiny_registry import Handler, Registry, served
from unit.registry.conftest import QUICK, plain
from unit.registry.test_hostile_registry import on, once, pull

Source = Callable[..., RegistrySource]
LAYERS = [large_layer("one"), large_layer("two")]
BLOB = Descriptor(LAYER, Digest.of(LAYERS[0]), len(LAYERS[0]))


def image(box: Box, layers: list[bytes] = LAYERS) -> Descriptor:
    """Load an image of compressed layers; its manifest's descriptor."""
    layout = Layout()
    content = layout.root(layout.image(layers), "some/image:1").tar
    loaded = archive.load(box.library, io.BytesIO(content))
    return box.library.image(loaded[0].image).manifest.descriptor


def push(box: Box, root: Descriptor, repository: Repository) -> None:
    source = LibrarySource(box.library)
    carry(source, RegistryTarget(repository, "1", root.digest, source), root)


class TestPush:
    def test_what_is_pushed_is_what_is_pulled(
        self, registry: Registry, repository: Repository, box: Box, source: Source, tmp_path: Path
    ) -> None:
        root = image(box)
        push(box, root, repository)
        assert source("some/image:1").resolve() == root
        other = Box(tmp_path / "other")
        pull(other, source("some/image:1"))
        assert other.library.resolve("here:1").manifest.digest == root.digest
        other.close()

    def test_the_tag_comes_last(self, registry: Registry, repository: Repository, box: Box) -> None:
        push(box, image(box), repository)
        puts = [each.path for each in registry.requests("PUT")]
        assert puts[-1].endswith("/manifests/1")
        assert all("/blobs/" in path for path in puts[:-1])

    def test_what_is_there_is_not_sent_again(
        self, registry: Registry, repository: Repository, box: Box
    ) -> None:
        root = image(box)
        push(box, root, repository)
        registry.manifests.clear()
        before = len(registry.requests("POST"))
        push(box, root, repository)
        assert len(registry.requests("POST")) == before

    def test_a_tag_moves_to_another_image(
        self, registry: Registry, repository: Repository, box: Box
    ) -> None:
        push(box, image(box), repository)
        second = image(box, LAYERS[:1])
        push(box, second, repository)
        assert repository.find("1") == second.digest

    def test_a_damaged_blob_is_named_and_not_tagged(
        self, registry: Registry, repository: Repository, box: Box
    ) -> None:
        root = image(box)
        layer = box.library.resolve("some/image:1").manifest.layers[0]
        path = box.library.blobs.path(layer.digest)
        content = bytearray(path.read_bytes())
        content[5000] ^= 1
        path.write_bytes(content)
        with pytest.raises(LadingError) as failure:
            push(box, root, repository)
        assert isinstance(failure.value, DamagedBlob | Refusal | NotFound)
        assert not registry.manifests
        assert ("some/image", str(layer.digest)) not in registry.blobs

    def test_bare_tars_are_compressed_once(
        self, registry: Registry, repository: Repository, box: Box
    ) -> None:
        archive.load(box.library, io.BytesIO(tar_of(docker_archive(LAYERS))))
        before = box.library.resolve("some/image:1")
        digests = set()
        for _ in range(2):
            with box.library.lease() as lease:
                found = repacked(box.library, box.library.resolve("some/image:1"), lease)
                push(box, found.manifest.descriptor, repository)
                digests.add(found.manifest.digest)
        after = box.library.resolve("some/image:1")
        assert digests == {after.manifest.digest}
        assert (after.id, after.diff_ids) == (before.id, before.diff_ids)
        assert {blob.media_type for blob in after.manifest.layers} == {f"{LAYER}+gzip"}
        assert box.library.mountable(after) == after.diff_ids


class TestUpload:
    def opened(self) -> io.BytesIO:
        return io.BytesIO(LAYERS[0])

    def test_a_blob_of_another_repository_is_mounted(
        self, registry: Registry, repository: Repository
    ) -> None:
        registry.blob("other/one", LAYER, LAYERS[0])
        assert mount(repository, BLOB, "other/one")
        assert repository.has_blob(BLOB)

    def test_where_that_is_refused_nothing_is_left(
        self, registry: Registry, repository: Repository
    ) -> None:
        assert not mount(repository, BLOB, "other/one")
        assert registry.uploads == {}

    def test_an_upload_that_breaks_is_taken_up_at_the_byte_it_reached(
        self, registry: Registry, repository: Repository
    ) -> None:
        def cut(handler: Handler) -> None:
            registry.uploads["u0"] += handler.rfile.read(70_000)
            handler.break_off()

        registry.hooks.append(once(on("PUT", "uploads/", cut)))
        upload(repository, BLOB, self.opened)
        assert registry.blobs["some/image", str(BLOB.digest)] == LAYERS[0]
        (sent,) = registry.requests("PATCH")
        assert sent.headers["content-range"] == f"70000-{BLOB.size - 1}"

    def test_one_that_cannot_be_taken_up_begins_anew(
        self, registry: Registry, repository: Repository
    ) -> None:
        registry.hooks.append(once(on("PUT", "uploads/", lambda h: h.break_off())))
        registry.hooks.append(on("GET", "uploads/", lambda h: h.answer(404)))
        upload(repository, BLOB, self.opened)
        assert registry.blobs["some/image", str(BLOB.digest)] == LAYERS[0]

    def test_a_registry_that_wants_chunks_gets_them(
        self, registry: Registry, repository: Repository, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("lading.registry.upload._CHUNK", 64 * 1024)

        def too_large(handler: Handler) -> bool:
            if handler.command != "PUT" or int(handler.headers["Content-Length"]) == 0:
                return False
            handler.body()
            handler.refuse(413, "SIZE_INVALID", "too large")
            return True

        registry.hooks.append(too_large)
        upload(repository, BLOB, self.opened)
        assert registry.blobs["some/image", str(BLOB.digest)] == LAYERS[0]
        assert len(registry.requests("PATCH")) == -(-BLOB.size // (64 * 1024))

    def test_a_refusal_is_final_and_told(self, registry: Registry, repository: Repository) -> None:
        denied = on("POST", "uploads/", lambda h: h.refuse(
            403, "DENIED", "requested access to the resource is denied"))  # fmt: skip
        registry.hooks.append(denied)
        with pytest.raises(LadingError, match="denied: requested access to the resource is denied"):
            upload(repository, BLOB, self.opened)
        assert len(registry.requests("POST")) == 1

    def test_a_registry_that_is_never_of_use_ends_it(
        self, registry: Registry, repository: Repository
    ) -> None:
        registry.hooks.append(on("PUT", "uploads/", lambda h: (h.body(), h.answer(503))))
        with pytest.raises(LadingError, match="503"):
            upload(repository, BLOB, self.opened)
        assert len(registry.requests("PUT")) == QUICK.tries


class TestMirrors:
    def test_a_mirror_is_asked_first_without_our_login(
        self, registry: Registry, tmp_path: Path
    ) -> None:
        from lading.registry.credentials import Credentials

        registry.put("library/image", "1", LAYERS[:1])
        mirrored = plain(tmp_path, mirrors=[f"http://{registry.host}"])
        remotes = Remotes(lambda: mirrored, QUICK)
        with remotes.source(Reference.parse("image:1"), Credentials("me", "x")) as source:
            assert source.resolve()
        assert all(each.authorization == "" for each in registry.asked)

    def test_what_a_mirror_lacks_the_next_has(self, registry: Registry, tmp_path: Path) -> None:
        with served() as empty:
            registry.put("library/image", "1", LAYERS[:1])
            urls = ["http://127.0.0.1:9", f"http://{empty.host}", f"http://{registry.host}"]
            mirrored = plain(tmp_path, mirrors=urls)
            with Remotes(lambda: mirrored, QUICK).source(Reference.parse("image:1")) as source:
                assert source.resolve()


class TestPlatforms:
    def index(self, registry: Registry) -> str:
        rows = []
        for number, architecture in enumerate(("arm64", "amd64")):
            raw = config([LAYERS[number]], architecture=architecture)
            digest = registry.put("some/image", architecture, [LAYERS[number]], raw=raw)
            kind, content = registry.manifests["some/image", digest]
            platform = {"os": "linux", "architecture": architecture}
            rows.append(
                {"mediaType": kind, "digest": digest, "size": len(content), "platform": platform}
            )
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": rows}
        return registry.manifest("some/image", "1", INDEX, json.dumps(document).encode())

    @pytest.mark.parametrize("architecture", ["arm64", "amd64"])
    def test_the_one_that_is_wanted_is_chosen(
        self, registry: Registry, source: Source, architecture: str
    ) -> None:
        self.index(registry)
        found = source("some/image:1")
        chosen = transfer.select(found, found.resolve(), Platform("linux", architecture))
        assert str(chosen.digest) == _digest(registry, architecture)

    def test_all_of_them_are_copied_to_another_registry(
        self, registry: Registry, source: Source, configured: Registries
    ) -> None:
        digest = self.index(registry)
        with served() as other:
            reference = Reference.parse(f"{other.host}/copied:2")
            found = source("some/image:1")
            with Remotes(lambda: configured, QUICK).repository(reference) as repository:
                root = found.resolve()
                carry(found, RegistryTarget(repository, "2", root.digest, found), root)
            assert sha256(other.manifests["copied", "2"][1]) == digest
            assert len(other.blobs) == 4


def _digest(registry: Registry, name: str) -> str:
    return sha256(registry.manifests["some/image", name][1])


class TestCrossing:
    def test_several_blobs_come_at_once(self, registry: Registry, box: Box, source: Source) -> None:
        registry.put("some/image", "1", LAYERS)
        together = threading.Barrier(2, timeout=5)
        meet = on("GET", "blobs/", lambda h: together.wait())

        def wait(handler: Handler) -> bool:
            if any(sha256(layer) in handler.path for layer in LAYERS):
                meet(handler)
            return False

        registry.hooks.append(wait)
        assert pull(box, source("some/image:1"))

    def test_a_failure_ends_it_soon(self, registry: Registry, box: Box, source: Source) -> None:
        layers = [large_layer(str(n)) for n in range(8)]
        registry.put("some/image", "1", layers)
        for layer in layers:
            del registry.blobs["some/image", sha256(layer)]
        began = time.monotonic()
        with pytest.raises(NotFound):
            pull(box, source("some/image:1"))
        assert time.monotonic() - began < 2


class TestPlaces:
    @pytest.fixture
    def folder(self, tmp_path: Path, registry: Registry, source: Source) -> Folder:
        """A layout with an image called ``one``, copied from the registry."""
        registry.put("some/image", "1", LAYERS)
        found = source("some/image:1")
        folder = Folder(tmp_path / "layout")
        root = found.resolve()
        carry(found, folder, root)
        folder.name(root, "one")
        return folder

    def test_a_layout_gives_back_what_it_was_given(
        self, folder: Folder, registry: Registry, repository: Repository
    ) -> None:
        root = folder.find("one")
        registry.blobs.clear()
        carry(folder, RegistryTarget(repository, "2", root.digest, folder), root)
        assert _digest(registry, "2") == str(root.digest)
        assert len(registry.blobs) == 3

    def test_a_name_goes_to_the_last_that_got_it(self, folder: Folder) -> None:
        root = folder.find("one")
        folder.name(root, "two")
        folder.name(root, "one")
        assert folder.find("two").digest == folder.find("one").digest
        with pytest.raises(NoSuchName, match="not exactly one"):
            folder.find("")
        with pytest.raises(NoSuchName, match="'three'"):
            folder.find("three")

    def test_a_damaged_blob_does_not_come_in(self, folder: Folder, tmp_path: Path) -> None:
        other = Folder(tmp_path / "other")
        with pytest.raises(UnexpectedContent):
            other.add(BLOB, io.BytesIO(b"x" * BLOB.size))
        assert not other.has(BLOB)
        assert [p for p in (tmp_path / "other").rglob("*") if p.is_file()] == []

    def test_an_archive_holds_the_same_image(self, folder: Folder, tmp_path: Path) -> None:
        root = folder.find("one")
        path = tmp_path / "image.tar"
        with path.open("wb") as out:
            archiving.write(folder, root, (Reference.parse("some/name:3"),), out)
        with tarball.opened(path) as found:
            assert found.find("some/name:3").digest == root.digest
            assert found.find("").digest == root.digest
            assert transfer.read(found, root)

    def test_an_archive_of_the_old_kind_gets_a_manifest(
        self, tmp_path: Path, registry: Registry, repository: Repository, box: Box, source: Source
    ) -> None:
        path = tmp_path / "old.tar"
        path.write_bytes(tar_of(docker_archive(LAYERS)))
        with tarball.opened(path) as found:
            root = found.find("some/image:1")
            carry(found, RegistryTarget(repository, "1", root.digest, found), root)
        assert pull(box, source("some/image:1")) == sha256(config(LAYERS))

    @pytest.mark.parametrize("content", [b"", b"not a tar" * 100, tar_of({"x": b"y"})])
    def test_what_is_no_archive_is_refused(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "odd.tar"
        path.write_bytes(content)
        with pytest.raises((Invalid, NotFound)), tarball.opened(path) as found:
            found.find("")


def test_artifacts_are_copied_as_they_are(
    registry: Registry, source: Source, repository: Repository
) -> None:
    config_row = registry.blob("some/image", "application/vnd.oci.empty.v1+json", b"{}")
    layer = registry.blob("some/image", "text/plain", b"hello")
    kind = "application/vnd.oci.image.manifest.v1+json"
    document = {"schemaVersion": 2, "mediaType": kind, "artifactType": "text/x",
                "config": config_row, "layers": [layer]}  # fmt: skip
    digest = registry.manifest("some/image", "a", kind, json.dumps(document).encode())
    found = source("some/image:a")
    root = found.resolve()
    carry(found, RegistryTarget(repository, "b", root.digest, found), root)
    assert _digest(registry, "b") == digest
    assert config_row["mediaType"] != CONFIG
