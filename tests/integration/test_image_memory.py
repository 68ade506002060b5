"""Large layers pass through the daemon without staying in its memory."""

from __future__ import annotations

import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine_daemon import Daemon

MIB = 1 << 20
MOST = 150 * MIB  # above what the daemon takes when it idles
LAYER = 5 << 30
LARGE = 64 * MIB


def tar(size: int) -> Iterator[bytes]:
    """A layer of 60,000 small files, and large ones until it has *size* bytes."""
    piece, small = os.urandom(MIB), bytes(2048)
    for n in range(60_000):
        yield header(f"small/{n // 500}/{n}", len(small)) + small
    for n in range(size // LARGE):
        yield header(f"large{n}", LARGE)
        for _ in range(LARGE // MIB):
            yield piece
    yield bytes(1024)


def header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.USTAR_FORMAT)


def memory(daemon: Daemon, what: str) -> int:
    """VmRSS (now) or VmHWM (the most since the peak was forgotten), in bytes."""
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    found = re.search(rf"{what}:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


@pytest.mark.slow
def test_a_layer_of_5_gib_takes_little(own_daemon: Daemon) -> None:
    if shutil.disk_usage(own_daemon.directory).free < 3 * LAYER:
        pytest.skip("the disk is too small")
    own_daemon.client.timeout = 900
    assert own_daemon.exit_code(own_daemon.run("true")) == 0
    idle = memory(own_daemon, "VmRSS")
    Path(f"/proc/{own_daemon.pid}/clear_refs").write_text("5")
    answer = own_daemon.client.post("/images/create", body=tar(LAYER), fromSrc="-", repo="large")
    assert answer.status == 200, answer.body
    loaded = memory(own_daemon, "VmHWM") - idle
    assert loaded < MOST, f"{loaded // MIB} MiB above idle"
    Path(f"/proc/{own_daemon.pid}/clear_refs").write_text("5")
    for piece in own_daemon.client.stream("GET", "/images/large/get"):
        assert piece
    saved = memory(own_daemon, "VmHWM") - idle
    assert saved < MOST, f"{saved // MIB} MiB above idle"
    print(f"import {loaded // MIB} MiB, save {saved // MIB} MiB above idle")
