"""First images made on this host: from its busybox, and from what mmdebstrap writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from image_box import Box, large_layer, sha256
from lading.image import bootstrap
from lading.image.busybox import NoBusybox
from lading.image.mmdebstrap import InvalidSuite, MmdebstrapFailed, NoMmdebstrap
from lading.image.progress import Progress
from lading.oci.reference import Reference


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path / "library")
    yield box
    box.close()


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for mmdebstrap that needs no archive of Debian's: what it does is written here."""
    path = tmp_path / "bin" / "mmdebstrap"
    path.parent.mkdir()
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
    (tmp_path / "root.tar").write_bytes(large_layer())
    _write(path, f'echo "I: $*" >&2; cat {tmp_path}/root.tar')
    return path


def _write(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_the_same_busybox_gives_the_same_image(box: Box) -> None:
    try:
        first = bootstrap.busybox(box.library)
    except NoBusybox as error:
        pytest.skip(str(error))
    second = bootstrap.busybox(box.library, reference=Reference.parse("other:1"))
    assert first == second
    assert [name.familiar for name in box.library.names(first.id)] == ["busybox:latest", "other:1"]


def test_debian_is_what_mmdebstrap_writes(box: Box, program: Path) -> None:
    told: list[Progress] = []
    image = bootstrap.debian(box.library, suite="trixie", on_progress=told.append)
    assert [str(diff_id) for diff_id in image.diff_ids] == [sha256(large_layer())]
    assert image.config.run["Cmd"] == ["bash"]
    assert [name.familiar for name in box.library.names(image.id)] == ["debian:trixie"]
    assert told == [Progress("debian", "--variant=minbase --format=tar trixie -")]


def test_it_takes_another_name_when_asked(box: Box, program: Path) -> None:
    name = Reference.parse("base:1")
    image = bootstrap.debian(box.library, suite="sid", reference=name)
    assert list(box.library.names(image.id)) == [name]


def test_without_a_suite_it_is_the_hosts_or_stable(box: Box, program: Path) -> None:
    image = bootstrap.debian(box.library)
    (name,) = box.library.names(image.id)
    release = Path("/etc/os-release").read_text()
    assert name.tag == "stable" or f"VERSION_CODENAME={name.tag}\n" in release


@pytest.mark.parametrize("written", ["true", "cat root.tar", "head -c 100000 root.tar"])
def test_a_failure_at_the_end_leaves_nothing(
    box: Box, program: Path, written: str, tmp_path: Path
) -> None:
    words = 'echo "I: working" >&2; echo "E: no such suite" >&2'
    _write(program, f"cd {tmp_path}; {written}; {words}; exit 3")
    with pytest.raises(MmdebstrapFailed, match="mmdebstrap sid failed: no such suite"):
        bootstrap.debian(box.library, suite="sid")
    assert box.contents() == set()


@pytest.mark.parametrize(
    "suite", ["-x", "--include=x", "../x", "a b", "A", "http://x", "x;y", "x/"]
)
def test_a_suite_that_is_none_starts_nothing(box: Box, program: Path, suite: str) -> None:
    _write(program, f"touch {program}.ran")
    with pytest.raises(InvalidSuite):
        bootstrap.debian(box.library, suite=suite)
    assert not Path(f"{program}.ran").exists()


def test_a_host_without_mmdebstrap_is_told_what_to_install(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NoMmdebstrap, match="apt-get install mmdebstrap"):
        bootstrap.debian(box.library, suite="sid")
