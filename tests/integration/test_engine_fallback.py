"""A kernel without EROFS: unpacked layers are used instead, and a root goes on with either."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine_daemon import Daemon
from lading.snapshot.choose import probe

WITHOUT = Path(__file__).parent.parent / "kernel_without_erofs.py"


class Changing(Daemon):
    """A daemon whose kernel may lose and win EROFS between two starts."""

    has_erofs = False

    def command(self) -> list[str]:
        words = super().command()
        if not self.has_erofs:
            words[1:3] = [str(WITHOUT)]
        return words

    def driver(self) -> tuple[str, str]:
        """Which snapshotter is used, and why."""
        shown = self.client.get("/info").json()
        return shown["Driver"], dict(shown["DriverStatus"])["Chosen because"]


@pytest.fixture
def host() -> Iterator[Changing]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    directory = Path(tempfile.mkdtemp(prefix="lading-"))
    if why := probe(directory / "probe")["erofs"]:
        pytest.skip(f"erofs: {why}")
    daemon = Changing(directory)
    daemon.start()
    daemon.load_busybox()
    yield daemon
    daemon.reset()
    assert daemon.leavings() == []
    shutil.rmtree(directory)


def again(host: Changing, *, has_erofs: bool) -> None:
    assert host.stop() == 0
    host.has_erofs = has_erofs
    host.start()


def test_layers_are_unpacked_and_it_is_said_why(host: Changing) -> None:
    name, reason = host.driver()
    assert name == "overlay"
    assert "erofs does not work here: " in reason
    assert os.strerror(19) in reason
    lines = [line for line in host.log.read_text().splitlines() if "erofs" in line]
    assert len(lines) == 1
    assert "snapshotter overlay" in lines[0]
    assert host.exit_code(host.run("sh", "-c", "echo x > /file && test -x /bin/sh")) == 0


def test_a_root_goes_on_when_the_kernel_changes(host: Changing) -> None:
    old = host.run("sh", "-c", "cat /kept 2>/dev/null || echo kept > /kept; test -s /kept")
    assert host.exit_code(old) == 0
    again(host, has_erofs=True)
    assert host.driver()[0] == "erofs"
    assert host.client.post(f"/containers/{old}/start").status == 204
    assert host.exit_code(old) == 0
    assert b"kept" in host.output(old).body  # what it wrote with the other driver
    new = host.run("true")
    assert host.exit_code(new) == 0
    assert host.client.get(f"/containers/{new}/json").json()["Driver"] == "erofs"
    assert host.client.post("/commit", container=old, repo="saved").status == 201
    again(host, has_erofs=False)
    assert host.client.post(f"/containers/{old}/start").status == 204
    assert host.exit_code(old) == 0
    assert host.exit_code(host.run("true")) == 0
    assert host.exit_code(host.run("test", "-s", "/kept", Image="saved")) == 0
