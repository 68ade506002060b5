"""Processes are told apart by their start times."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from lading.linux import process
from lading.linux.process import ProcessRef


@pytest.fixture
def child() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


def test_a_boot_has_a_name() -> None:
    assert process.boot_id() == process.boot_id()
    assert len(process.boot_id()) == 36


def test_this_process_is_alive() -> None:
    me = ProcessRef.of(os.getpid())
    assert me and me.alive()
    assert process.parent(os.getpid()) == os.getppid()
    assert not me.wait(0)


def test_nobody_is_not() -> None:
    nobody = 2**22 + 1
    assert process.start_time(nobody) is None
    assert ProcessRef.of(nobody) is None
    assert process.pidfd_open(nobody) is None
    gone = ProcessRef(nobody, 1)
    assert not gone.alive()
    assert not gone.kill(0)
    assert gone.wait(0)


def test_another_process_with_the_same_number_is_not_the_one_meant(
    child: subprocess.Popen[bytes],
) -> None:
    real = ProcessRef.of(child.pid)
    assert real
    other = replace(real, start_time=real.start_time - 1)
    assert not other.alive()
    assert not other.kill(signal.SIGKILL)
    assert other.open() is None
    assert child.poll() is None
    assert real.kill(signal.SIGKILL)
    assert real.wait(5)
    assert not real.alive()  # a zombie now
    process.reap(child.pid)
    assert ProcessRef.of(child.pid) is None
    child.returncode = -9


def test_reaping_what_is_not_a_child_is_nothing() -> None:
    process.reap(1)
