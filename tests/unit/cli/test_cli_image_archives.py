"""load, save, import and bootstrap: what is sent, what is written, and what a failure leaves."""

from __future__ import annotations

import io
import json
import os
import socket
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from canned_engine import Asked, CannedEngine
from lading.cli import wholefile

Lading = Callable[..., Any]
ID = "sha256:" + "a" * 64


@pytest.fixture(autouse=True)
def loads(engine: CannedEngine) -> None:
    engine.answers["POST /images/load"] = '{"stream":"Loaded image: x:1\\n"}\r\n'


@pytest.fixture
def stdin() -> Iterator[Callable[[bytes], None]]:
    """What the command reads from a pipe."""
    kept = os.dup(0)

    def give(content: bytes) -> None:
        reading, writing = os.pipe()
        os.write(writing, content)
        os.close(writing)
        os.dup2(reading, 0)
        os.close(reading)

    yield give
    os.dup2(kept, 0)
    os.close(kept)


def query(asked: Asked) -> dict[str, list[str]]:
    return parse_qs(asked.target.partition("?")[2])


def test_a_file_is_sent_whole_and_with_its_length(
    engine: CannedEngine, lading: Lading, tmp_path: Path
) -> None:
    content = bytes(range(256)) * 10_000
    (tmp_path / "archive.tar").write_bytes(content)
    ended = lading("load", "-i", str(tmp_path / "archive.tar"))
    assert (ended.code, ended.out) == (0, "Loaded image: x:1\n")
    assert engine.asked[0].body == content
    assert engine.asked[0].headers["content-length"] == str(len(content))
    assert query(engine.asked[0]) == {"quiet": ["1"]}  # nobody draws bars in a pipe


def test_a_pipe_is_sent_as_it_comes(
    engine: CannedEngine, lading: Lading, stdin: Callable[[bytes], None]
) -> None:
    stdin(b"an archive")
    assert lading("load").code == 0
    assert engine.asked[0].body == b"an archive"
    assert engine.asked[0].headers["transfer-encoding"] == "chunked"


def test_an_image_layout_is_sent_as_a_tar_stream(
    engine: CannedEngine, lading: Lading, tmp_path: Path
) -> None:
    (tmp_path / "layout/blobs/sha256").mkdir(parents=True)
    for name in ("oci-layout", "index.json", "blobs/sha256/" + "a" * 64):
        (tmp_path / "layout" / name).write_text(name)
    assert lading("load", "-i", str(tmp_path / "layout")).code == 0
    with tarfile.open(fileobj=io.BytesIO(engine.asked[0].body)) as tar:
        names = tar.getnames()
        blob = tar.extractfile(names[-1])
        assert blob is not None and blob.read().decode() == names[-1]
    assert names == ["index.json", "oci-layout", "blobs/sha256/" + "a" * 64]


def test_a_directory_of_something_else_is_not_sent(
    engine: CannedEngine, lading: Lading, tmp_path: Path
) -> None:
    ended = lading("load", "-i", str(tmp_path))
    assert ended.code == 1 and "is not an image layout" in ended.err
    assert engine.asked == []


def test_a_missing_file_is_told_in_dockers_words(lading: Lading, tmp_path: Path) -> None:
    ended = lading("load", "-i", f"{tmp_path}/none")
    told = f"lading: open {tmp_path}/none: no such file or directory\n"
    assert (ended.code, ended.err) == (1, told)


def test_an_engine_that_refuses_early_is_heard(
    engine: CannedEngine, lading: Lading, tmp_path: Path
) -> None:
    engine.answers["POST /images/load"] = (400, {"message": "this is no archive"})
    (tmp_path / "archive").write_bytes(b"x")
    ended = lading("load", "-i", str(tmp_path / "archive"))
    assert (ended.code, ended.err) == (1, "lading: this is no archive\n")


def test_a_failure_in_the_middle_of_the_answer_ends_the_command(
    engine: CannedEngine, lading: Lading, tmp_path: Path
) -> None:
    line = '{"errorDetail":{"message":"layer is corrupt"},"error":"layer is corrupt"}\r\n'
    engine.answers["POST /images/load"] = line
    (tmp_path / "archive").write_bytes(b"x")
    ended = lading("load", "-i", str(tmp_path / "archive"))
    assert (ended.code, ended.err) == (1, "lading: layer is corrupt\n")


def test_import_sends_its_settings_and_prints_the_id(
    engine: CannedEngine, lading: Lading, tmp_path: Path
) -> None:
    engine.answers["POST /images/create"] = f'{{"status":"{ID}"}}\n'
    (tmp_path / "root.tar").write_bytes(b"tar")
    changes = ("-c", "CMD sh", "-c", "ENV A=b")
    ended = lading("import", *changes, "-m", "hello", str(tmp_path / "root.tar"), "a/b:1")
    assert (ended.code, ended.out) == (0, f"{ID}\n")
    assert query(engine.asked[0]) == {
        "fromSrc": ["-"],
        "repo": ["a/b:1"],
        "message": ["hello"],
        "changes": ["CMD sh", "ENV A=b"],
    }
    assert engine.asked[0].body == b"tar"


def test_import_from_an_address_is_refused(engine: CannedEngine, lading: Lading) -> None:
    ended = lading("import", "https://example.test/root.tar")
    assert ended.code == 1 and "download it first" in ended.err
    assert engine.asked == []


def test_saved_images_appear_under_the_files_name(
    engine: CannedEngine, lading: Lading, tmp_path: Path
) -> None:
    engine.answers["GET /images/get"] = b"archive"
    ended = lading("save", "-o", str(tmp_path / "saved.tar"), "a", "b/c:1")
    assert (ended.code, ended.out) == (0, "")
    assert (tmp_path / "saved.tar").read_bytes() == b"archive"
    assert query(engine.asked[0]) == {"names": ["a", "b/c:1"]}


def test_without_a_file_the_archive_goes_to_standard_output(
    engine: CannedEngine, lading: Lading
) -> None:
    engine.answers["GET /images/get"] = b"archive"
    assert lading("save", "a").out == "archive"


def test_a_save_cut_off_leaves_the_file_of_before_and_nothing_else(
    engine: CannedEngine, lading: Lading, tmp_path: Path
) -> None:
    def cut(asked: Asked, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf an arch")

    engine.answers["GET /images/get"] = cut
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "saved.tar").write_text("the one of yesterday")
    ended = lading("save", "-o", str(folder / "saved.tar"), "a")
    assert ended.code == 1 and "cut off" in ended.err
    assert os.listdir(folder) == ["saved.tar"]
    assert (folder / "saved.tar").read_text() == "the one of yesterday"


def test_where_files_need_names_at_once_a_failure_still_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY)  # no directory opens for writing
    folder = tmp_path / "folder"
    folder.mkdir()

    def pieces() -> Iterator[bytes]:
        yield b"half"
        assert len(os.listdir(folder)) == 1
        raise OSError("the rest is missing")

    with pytest.raises(OSError, match="missing"):
        wholefile.write(str(folder / "file"), pieces())
    assert os.listdir(folder) == []
    wholefile.write(str(folder / "file"), [b"wh", b"ole"])
    assert os.listdir(folder) == ["file"]
    assert (folder / "file").read_bytes() == b"whole"


def test_a_link_goes_on_pointing_where_it_does_and_modes_stay(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    wholefile.write(str(tmp_path / "link"), [b"new"])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o640


def test_pipes_are_written_to_as_they_are() -> None:
    reading, writing = os.pipe()
    wholefile.write(f"/proc/self/fd/{writing}", [b"wh", b"ole"])  # as /dev/stdout is one
    os.close(writing)
    with open(reading, "rb") as pipe:
        assert pipe.read() == b"whole"


def test_a_place_that_takes_no_file_is_told_before_the_engine_is_asked(
    engine: CannedEngine, lading: Lading, tmp_path: Path
) -> None:
    for place in (tmp_path, tmp_path / "none" / "file"):
        ended = lading("save", "-o", str(place), "a")
        assert ended.code == 1 and "invalid output path" in ended.err
    assert engine.asked == []


def test_bootstrap_prints_what_the_image_is_called(engine: CannedEngine, lading: Lading) -> None:
    lines = [{"status": "Packing", "id": "busybox"}, {"aux": {"ID": ID, "Tag": "base:1"}}]
    told = "".join(json.dumps(line) + "\r\n" for line in lines)
    engine.answers["POST /lading/v1/images/bootstrap"] = told
    ended = lading("image", "bootstrap", "busybox", "-t", "base:1")
    assert (ended.code, ended.out) == (0, "base:1\n")
    assert query(engine.asked[0]) == {"kind": ["busybox"], "tag": ["base:1"]}


@pytest.mark.parametrize("words", [("alpine",), ("busybox", "bookworm")])
def test_bootstrap_knows_its_kinds(
    words: tuple[str, ...], engine: CannedEngine, lading: Lading
) -> None:
    assert lading("image", "bootstrap", *words).code == 1
    assert engine.asked == []
