"""Archives by lading's own command: what is saved is loaded, whichever way it travels."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from cli_story import Story
from image_box import docker_archive, layer, tar_of

CHANGED = "touch /changed; ln -s changed /link; rm /etc/group"
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "gz": gzip.compress,
    "zst": zstandard.ZstdCompressor().compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
}


@pytest.fixture
def image(lading: Story) -> str:
    """The ID of an image of two layers, called work:1."""
    lading("run", "--name", "work", "busybox", "sh", "-c", CHANGED)
    identity = lading.out("commit", "-c", 'CMD ["ls", "/changed"]', "work", "work:1")
    lading("rm", "work")
    return identity


@pytest.fixture
def archive(lading: Story, image: str, tmp_path: Path) -> Path:
    """That image saved, and gone from the engine."""
    path = tmp_path / "work.tar"
    lading("save", "-o", str(path), "work:1")
    lading("rmi", "work:1")
    return path


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_an_archive_is_loaded_however_it_is_compressed(
    lading: Story, archive: Path, image: str, kind: str
) -> None:
    packed = archive.with_suffix(f".{kind}.packed")
    packed.write_bytes(COMPRESSIONS[kind](archive.read_bytes()))
    assert lading.out("load", "-i", str(packed)) == "Loaded image: work:1"
    assert lading.out("images", "-q", "--no-trunc", "work") == image
    assert lading.out("run", "--rm", "work:1") == "/changed"


def test_what_was_removed_stays_removed(lading: Story, archive: Path) -> None:
    lading("load", "-q", "-i", str(archive))
    script = "ls /etc/group /link 2>&1; readlink /link"
    told = lading.out("run", "--rm", "work:1", "sh", "-c", script)
    assert "/etc/group: No such file" in told and told.endswith("changed")


def test_standard_input_is_loaded(lading: Story, archive: Path, image: str) -> None:
    with archive.open("rb") as source:
        assert lading.out("load", stdin=source) == "Loaded image: work:1"
    assert lading.out("images", "-q", "--no-trunc", "work") == image


def test_a_directory_is_loaded_as_an_oci_layout(
    lading: Story, archive: Path, image: str, tmp_path: Path
) -> None:
    layout = tmp_path / "layout"
    layout.mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", layout], check=True)
    (layout / "manifest.json").unlink()
    assert lading.out("load", "-i", str(layout)) == "Loaded image: work:1"
    assert lading.out("images", "-q", "--no-trunc", "work") == image


def test_the_old_layout_of_docker_is_loaded(lading: Story) -> None:
    old = {
        "repositories": json.dumps({"ancient": {"1": "a" * 64}}).encode(),
        f"{'a' * 64}/VERSION": b"1.0",
        f"{'a' * 64}/json": json.dumps({"id": "a" * 64, "config": {"Cmd": ["sh"]}}).encode(),
        f"{'a' * 64}/layer.tar": layer("old"),
    }
    told = lading.raw("load", input=tar_of(old)).decode()
    assert told == "Loaded image: ancient:1\n"


def test_an_image_without_a_name_is_told_by_id(lading: Story) -> None:
    told = lading.raw("load", input=tar_of(docker_archive([layer()], None)))
    assert told.startswith(b"Loaded image ID: sha256:")


def test_nothing_to_load_is_told(lading: Story, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no archive at all")
    assert lading("load", "-i", str(tmp_path / "text"), check=1).stderr.startswith("lading: ")
    assert "none.tar" in lading("load", "-i", str(tmp_path / "none.tar"), check=1).stderr
    with lading.terminal("load") as terminal:
        assert terminal.end() == 1
        assert "terminal" in terminal.shown or "stdin" in terminal.shown


def test_a_cut_archive_leaves_nothing(lading: Story, archive: Path, image: str) -> None:
    lading("load", input=archive.read_bytes()[: archive.stat().st_size // 2], text=False, check=1)
    assert lading.out("images", "-q", "--no-trunc", "work") == ""
    assert lading.out("load", "-i", str(archive)) == "Loaded image: work:1"
    assert lading.out("images", "-q", "--no-trunc", "work") == image


class TestSave:
    def test_several_images_go_into_one_archive(
        self, lading: Story, image: str, tmp_path: Path
    ) -> None:
        lading("tag", "work:1", "work:2")
        path = tmp_path / "several.tar"
        lading("save", "-o", str(path), "work:1", "work:2", "busybox")
        with tarfile.open(path) as tar:
            member = tar.extractfile("manifest.json")
            assert member
            index = json.load(member)
            names = tar.getnames()
        assert {tag for row in index for tag in row["RepoTags"]} == {
            *("work:1", "work:2", "busybox:latest")
        }
        assert "index.json" in names and len(names) == len(set(names))
        lading("rmi", "work:1", "work:2")
        told = lading.out("load", "-i", str(path)).splitlines()
        assert sorted(told) == [
            *("Loaded image: busybox:latest", "Loaded image: work:1", "Loaded image: work:2")
        ]

    def test_standard_output_takes_the_archive(
        self, lading: Story, image: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "out.tar"
        with path.open("wb") as target:
            lading("save", "work:1", stdout=target, capture_output=False)
        lading("save", "-o", str(tmp_path / "again.tar"), "work:1")
        assert path.read_bytes() == (tmp_path / "again.tar").read_bytes()

    def test_an_image_by_its_id_has_no_name(
        self, lading: Story, image: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "nameless.tar"
        lading("save", "-o", str(path), image[:19])
        lading("rmi", "work:1")
        assert lading.out("load", "-i", str(path)) == f"Loaded image ID: {image}"

    def test_an_archive_is_not_written_to_a_terminal(self, lading: Story) -> None:
        with lading.terminal("save", "busybox") as terminal:
            assert terminal.end() == 1
            assert "cowardly refusing" in terminal.shown

    def test_a_failed_save_leaves_no_file(self, lading: Story, tmp_path: Path) -> None:
        told = lading("save", "-o", str(tmp_path / "none.tar"), "nope", check=1).stderr
        assert "No such image: nope:latest" in told
        assert list(tmp_path.iterdir()) == []


class TestExport:
    def test_a_containers_file_system_is_written_as_it_is(
        self, lading: Story, tmp_path: Path
    ) -> None:
        lading("run", "--name", "source", "-v", "/data", "busybox", "sh", "-c", CHANGED)
        path = tmp_path / "fs.tar"
        lading("export", "-o", str(path), "source")
        with tarfile.open(path) as tar:
            names = {name.strip("/") for name in tar.getnames()}
            assert tar.getmember("link").linkname == "changed"
        assert {"changed", "link", "bin/busybox", "etc/passwd"} <= names
        assert "etc/group" not in names
        out = lading.raw("container", "export", "source")
        assert len(out) == path.stat().st_size

    def test_an_export_is_not_written_to_a_terminal(self, lading: Story) -> None:
        lading("create", "--name", "source", "busybox")
        with lading.terminal("export", "source") as terminal:
            assert terminal.end() == 1
            assert "cowardly refusing" in terminal.shown
