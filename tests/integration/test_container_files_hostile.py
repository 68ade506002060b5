"""Hostile archives put into containers and their volumes: nothing escapes, nothing hangs."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from container_host import ContainerHost
from hostile.corpus import Case, Outcome, cases
from lading.container.record import Container
from lading.errors import LadingError
from lading.layer.remove import empty
from lading.volume.values import MountPoint
from tarball import Tarball
from trees import shown

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners and devices want root")
MOST_SECONDS = 5.0
WHITEOUTS = (8, 9)  # rows about names that mean nothing here


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerHost]:
    made = ContainerHost(tmp_path_factory.mktemp("host"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def container(host: ContainerHost) -> Iterator[Container]:
    """With a directory and a volume to put things into; emptied by descriptor, for its depths."""
    volume = host.volumes.create("data")
    tar = Tarball().directory("srv").directory("data")
    made = host.container(host.image(tar), MountPoint("volume", "/data", name="data"))
    root = host.root(made)
    yield made
    for place in (root / "srv", volume.path):
        top = os.open(place, os.O_RDONLY)
        empty(top)
        os.close(top)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "kept").write_text("not yours")
    return victim


@pytest.mark.parametrize("door", ["/srv", "/data"])
@pytest.mark.parametrize("case", list(cases()), ids=str)
def test_nothing_escapes(
    case: Case, door: str, host: ContainerHost, container: Container, victim: Path
) -> None:
    tar = case.make(os.fsencode(victim))
    before, began, refused = shown(victim), time.monotonic(), False
    try:
        host.files.put(container.id, door, io.BytesIO(tar))
    except LadingError as error:
        refused = True
        assert "\n" not in str(error)
        assert len(str(error)) < 1000
    assert time.monotonic() - began < MOST_SECONDS
    assert shown(victim) == before
    if case.outcome is Outcome.REFUSED and case.row not in WHITEOUTS:
        assert refused
