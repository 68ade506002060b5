"""The contract of `lading.backup.place.Place`, kept by every place."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from place_contract import PlaceContract, Shore, described

import registry_process
from bucket_server import bucket_server
from debian_registry import debian_registry
from lading.backup import target as targets
from lading.backup.depot import open_depot
from lading.backup.layout import InUse, KeptByNames, Layout, NoSuchTarget, NotALayout
from lading.backup.locations import Location
from lading.backup.place import read_verified
from lading.backup.sftp import SftpFailed
from lading.errors import Denied
from lading.image.oci_layout import REF_NAME
from lading.store.blobs import UnexpectedContent
from ssh_server import ssh_server


class TestDirectory(PlaceContract):
    @pytest.fixture
    def shore(self, tmp_path: Path) -> Shore:
        folder = tmp_path / "kept"
        return Shore(Location.parse(str(folder)), folder)


class TestDebianRegistry(PlaceContract):
    @pytest.fixture
    def shore(self, tmp_path: Path) -> Iterator[Shore]:
        with debian_registry(tmp_path / "debian") as registry:
            where = Location.parse(f"{registry.host}/some/backups")
            yield Shore(
                where, tmp_path / "debian" / "storage" / "docker" / "registry" / "v2" / "blobs"
            )


class TestOwnRegistry(PlaceContract):
    @pytest.fixture
    def shore(self, tmp_path: Path) -> Iterator[Shore]:
        registry = registry_process.Registry(tmp_path)
        registry.start()
        try:
            yield Shore(Location.parse(f"{registry.host}/some/backups"), registry.root)
        finally:
            registry.end()


class _Shelved(PlaceContract):
    """What is asked of places without locks besides."""

    def test_nobody_sweeps_while_somebody_writes(self, shore: Shore) -> None:
        with shore.open().held():
            with shore.open().held():
                pass
            with pytest.raises(InUse), shore.open().held(alone=True):
                pass
        with shore.open().held(alone=True):
            for alone in (True, False):
                with pytest.raises(InUse), shore.open().held(alone=alone):
                    pass
        with shore.open().held(alone=True):
            pass

    def test_it_is_an_oci_layout_for_every_other_reader(self, shore: Shore) -> None:
        depot = shore.depot()
        index = json.loads((shore.files / "index.json").read_text())
        assert [row["annotations"][REF_NAME] for row in index["manifests"]] == [targets.TAG]
        layout = open_depot(Location.parse(str(shore.files)), None)
        assert layout.document == depot.document
        with pytest.raises(KeptByNames):
            Layout(shore.files, make=True)

    def test_what_is_something_else_is_left_alone(self, shore: Shore) -> None:
        shore.files.mkdir(parents=True, exist_ok=True)
        (shore.files / "mine").write_text("x")
        with pytest.raises(NotALayout):
            shore.open()
        assert [path.name for path in shore.files.iterdir()] == ["mine"]

    def test_a_target_to_read_must_be_there(self, shore: Shore) -> None:
        with pytest.raises(NoSuchTarget):
            shore.location.open()


class TestBucket(_Shelved):
    @pytest.fixture
    def shore(self, tmp_path: Path) -> Iterator[Shore]:
        with bucket_server(tmp_path / "s3") as server:
            where = Location.parse(f"s3://{server.bucket}/some/prefix", {"s3": server.options})
            yield Shore(where, server.files / server.bucket / "some" / "prefix")

    def test_a_wrong_key_is_refused_in_one_line(self, shore: Shore) -> None:
        options = {**shore.location.logins["s3"], "secret_access_key": "wrong"}
        with pytest.raises(Denied) as refused:
            Location.parse(shore.location.text, {"s3": options}).open()
        assert "\n" not in str(refused.value)
        assert "wrong" not in str(refused.value)


class Cutting(io.BytesIO):
    """A stream that ends a process when it is read again, for being sent."""

    def __init__(self, content: bytes, pid: int) -> None:
        super().__init__(content)
        self._left, self._pid = len(content) + 1_000_000, pid

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self._left -= len(piece)
        if self._left < 0 and self._pid:
            os.kill(self._pid, signal.SIGKILL)
            self._pid = 0
        return piece


class TestRemoteFolder(_Shelved):
    @pytest.fixture
    def shore(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shore]:
        with ssh_server(tmp_path / "ssh") as server:
            monkeypatch.setenv("PATH", f"{server.bin}:{os.environ['PATH']}")
            folder = tmp_path / "there" / "backups"
            yield Shore(Location.parse(f"ssh://{server.authority}{folder}"), folder)

    def test_nothing_half_is_left_by_a_transfer_that_breaks_off(self, shore: Shore) -> None:
        place = shore.open()
        with pytest.raises(UnexpectedContent):
            place.add(described(b"right"), io.BytesIO(b"wrong"))
        place.add(described(b"right"), io.BytesIO(b"right"))
        assert list((shore.files / ".lading").glob("part-*")) == []

    def test_a_connection_that_is_cut_leaves_nothing_that_is_seen(
        self, shore: Shore, tmp_path: Path
    ) -> None:
        content = os.urandom(4_000_000)
        place, descriptor = shore.open(), described(content)
        stream = Cutting(content, int((tmp_path / "ssh" / "bin" / "pid").read_text()))
        with pytest.raises(SftpFailed):
            place.add(descriptor, stream)
        place = shore.open()
        assert not place.has(descriptor)
        place.add(descriptor, io.BytesIO(content))
        assert read_verified(place, descriptor, len(content)) == content

    def test_a_host_that_does_not_answer_is_told_in_ssh_s_words(self, shore: Shore) -> None:
        with pytest.raises(SftpFailed, match="Connection refused"):
            Location.parse("ssh://127.0.0.1:1/x").open()

    def test_a_host_whose_key_is_not_known_is_not_spoken_to(self, shore: Shore) -> None:
        text = shore.location.text.replace("127.0.0.1", "localhost")
        with pytest.raises(SftpFailed, match="Host key verification failed"):
            Location.parse(text).open()
