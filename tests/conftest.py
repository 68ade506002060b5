"""The daemons that integration tests talk to."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine_daemon import Daemon

MakeDaemon = Callable[..., Daemon]


def _short_directory() -> Path:
    """Sockets lie below it, and their paths are limited: pytest's own are too long."""
    return Path(tempfile.mkdtemp(prefix="lading-"))


@pytest.fixture(scope="session")
def _session_daemon() -> Iterator[Daemon]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    daemon = Daemon(_short_directory())
    daemon.start()
    daemon.load_busybox()
    yield daemon
    _dismantle(daemon)


@pytest.fixture
def daemon(_session_daemon: Daemon) -> Iterator[Daemon]:
    """A running daemon with the image busybox, shared by all tests; each gets it empty."""
    yield _session_daemon
    _session_daemon.remove_containers()


@pytest.fixture
def make_daemon() -> Iterator[MakeDaemon]:
    """Start daemons of one's own, which a test may kill; gone without a trace afterwards."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    made: list[Daemon] = []

    def make(*arguments: str, busybox: bool = True) -> Daemon:
        daemon = Daemon(_short_directory(), *arguments)
        made.append(daemon)
        daemon.start()
        if busybox:
            daemon.load_busybox()
        return daemon

    yield make
    for daemon in made:
        _dismantle(daemon)


@pytest.fixture
def own_daemon(make_daemon: MakeDaemon) -> Daemon:
    """One daemon of one's own, with the image busybox."""
    return make_daemon()


def _dismantle(daemon: Daemon) -> None:
    daemon.reset()
    left = daemon.leavings()
    shutil.rmtree(daemon.directory, ignore_errors=True)
    assert left == []
