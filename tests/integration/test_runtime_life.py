"""A container's life on the real runtime: begin, end, signals, pause, and what goes wrong."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lading.linux.process import ProcessRef
from lading.runtime import conmon
from lading.runtime.failures import (
    CommandNotExecutable,
    CommandNotFound,
    RuntimeFailed,
)
from lading.runtime.mounts import MountPoint
from lading.runtime.roots import MismatchedMount
from runtime_box import Box, until


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with Box(tmp_path) as made:
        yield made


def test_output_and_exit_code_are_kept(box: Box) -> None:
    container = box.run("sh", "-c", "echo out; echo err >&2; exit 7")
    assert container.wait() == 7
    assert container.text("stdout") == "out\n"
    assert container.text("stderr") == "err\n"


def test_nothing_runs_before_the_start(box: Box) -> None:
    container = box.create("touch", "/ran")
    time.sleep(0.2)
    assert not (box.rootfs / "ran").exists()
    container.start()
    assert container.wait() == 0
    assert (box.rootfs / "ran").exists()


def test_a_second_start_is_refused(box: Box) -> None:
    container = box.run("sleep", "60")
    with pytest.raises(RuntimeFailed):
        container.start()


def test_a_container_that_died_before_its_start_cannot_start(box: Box) -> None:
    container = box.create("true")
    container.kill(signal.SIGKILL)
    container.launched.process.wait(5)
    with pytest.raises(RuntimeFailed):
        container.start()


def test_a_signal_reaches_the_first_process(box: Box) -> None:
    container = box.run(
        "sh", "-c", "trap 'echo got; exit 5' TERM; echo up; while :; do sleep 0.05; done"
    )
    until(lambda: "up" in container.text())
    assert container.kill(signal.SIGTERM)
    assert container.wait() == 5
    assert container.text() == "up\ngot\n"


def test_a_killed_container_exits_137(box: Box) -> None:
    container = box.run("sleep", "60")
    container.kill(signal.SIGKILL)
    assert container.wait() == 137
    assert not container.kill(signal.SIGKILL)


def test_pause_stops_every_process_and_resume_lets_them_go_on(box: Box) -> None:
    script = "(while :; do echo x >> /ticks; sleep 0.01; done) & while :; do sleep 0.01; done"
    container = box.run("sh", "-c", script)
    ticks = box.rootfs / "ticks"
    until(ticks.exists)
    box.runtime.pause(container.id)
    assert box.runtime.group(container.id).frozen()
    before = ticks.stat().st_size
    time.sleep(0.2)
    assert ticks.stat().st_size == before
    box.runtime.resume(container.id)
    until(lambda: ticks.stat().st_size > before)
    assert not box.runtime.group(container.id).frozen()


def test_delete_leaves_no_process_and_no_group(box: Box) -> None:
    container = box.run("sh", "-c", "sleep 61 & sleep 62 & wait")
    group = box.runtime.group(container.id)
    until(lambda: len(group.processes()) == 3)
    pids = group.processes()
    box.runtime.delete(container.id)
    assert not group.exists()
    until(lambda: all(ProcessRef.of(p) is None or not ProcessRef.of(p).alive() for p in pids))
    assert container.id not in box.runtime.containers()
    box.runtime.delete(container.id)


def test_delete_gets_a_paused_container_away(box: Box) -> None:
    container = box.run("sleep", "60")
    box.runtime.pause(container.id)
    box.runtime.delete(container.id)
    assert not box.runtime.group(container.id).exists()
    assert container.wait() == 137


def test_a_missing_command_is_127_in_dockers_words(box: Box) -> None:
    with pytest.raises(CommandNotFound) as caught:
        box.create("no-such-command")
    assert caught.value.exit_code == 127
    text = str(caught.value)
    assert text.startswith("OCI runtime create failed: ")
    assert 'exec: "no-such-command": executable file not found in $PATH: unknown' in text


def test_a_missing_path_is_127(box: Box) -> None:
    with pytest.raises(CommandNotFound) as caught:
        box.create("/no/such/command")
    # The docker command takes its exit code from these words.
    assert re.search("no such file or directory|executable file not found", str(caught.value))


def test_a_file_that_may_not_be_executed_is_126(box: Box) -> None:
    (box.rootfs / "plain").write_text("text")
    with pytest.raises(CommandNotExecutable) as caught:
        box.create("/plain")
    assert caught.value.exit_code == 126
    assert "permission denied" in str(caught.value)


def test_a_directory_as_command_is_126(box: Box) -> None:
    with pytest.raises(CommandNotExecutable):
        box.create("/tmp")


def test_a_directory_on_a_file_is_told_as_docker_tells_it(box: Box, tmp_path: Path) -> None:
    mount = MountPoint.bind(str(tmp_path), "/etc/passwd")
    with pytest.raises(MismatchedMount):
        box.create("true", mounts=(mount,))


def test_a_failed_create_leaves_nothing_after_delete(box: Box) -> None:
    with pytest.raises(CommandNotFound):
        box.create("no-such-command")
    box.runtime.delete("c1")
    assert not box.runtime.group("c1").exists()
    assert box.runtime.containers() == []


def test_a_killed_monitor_is_noticed_and_the_container_can_be_killed(box: Box) -> None:
    container = box.run("sleep", "60")
    began = time.monotonic()
    container.launched.monitor.kill(signal.SIGKILL)
    assert container.launched.monitor.wait(2)
    assert time.monotonic() - began < 2
    assert conmon.exit_code(container.bundle) is None
    assert container.launched.process.alive()
    box.runtime.delete(container.id)
    assert container.launched.process.wait(2)
    assert not container.launched.process.alive()


def test_the_monitor_lives_in_a_session_and_group_of_its_own(box: Box) -> None:
    container = box.run("sleep", "60")
    pid = container.launched.monitor.pid
    assert os.getsid(pid) == pid
    groups = Path(f"/proc/{pid}/cgroup").read_text()
    assert f"{box.runtime.parent}/monitors" in groups


def test_the_exit_code_of_the_run_before_is_never_taken_for_this_ones(box: Box) -> None:
    container = box.run("false")
    assert container.wait() == 1
    box.runtime.delete(container.id)
    box._count -= 1
    again = box.create("sleep", "60")
    assert conmon.exit_code(again.bundle) is None


def test_the_runtimes_own_view_agrees(box: Box) -> None:
    container = box.create("sleep", "60")
    state = box.runtime.state_of(container.id)
    assert state and state["status"] == "created"
    container.start()
    state = box.runtime.state_of(container.id)
    assert state and state["status"] == "running"
    assert state["pid"] == container.launched.process.pid
    assert box.runtime.state_of("nobody") is None


def test_the_config_is_for_roots_eyes_only(box: Box) -> None:
    container = box.create("true")
    assert (container.bundle / "config.json").stat().st_mode & 0o777 == 0o600
    assert container.bundle.stat().st_mode & 0o777 == 0o700
