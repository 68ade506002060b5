"""One more process in a running container, on the real runtime."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lading.linux.process import reap
from lading.runtime import conmon, roots
from lading.runtime.failures import CommandNotExecutable, CommandNotFound, RuntimeFailed
from lading.runtime.mounts import MountPoint
from lading.runtime.roots import BadWorkingDirectory
from lading.runtime.users import User
from runtime_box import Box, Container, received, until


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with Box(tmp_path) as made:
        yield made


@pytest.fixture
def container(box: Box) -> Container:
    return box.run("sleep", "600")


def test_output_of_both_streams_and_the_exit_code(container: Container) -> None:
    code, output = container.run("sh", "-c", "echo out; echo err >&2; exit 3")
    assert code == 3
    assert sorted(output.split()) == ["err", "out"]


def test_even_the_shortest_command_loses_no_output(container: Container) -> None:
    for _ in range(10):
        assert container.run("echo", "quick") == (0, "quick\n")


def test_it_is_in_the_containers_namespaces_and_groups(container: Container, box: Box) -> None:
    pid = container.launched.process.pid
    for kind in ("pid", "ipc", "uts", "net", "mnt"):
        _, inside = container.run("stat", "-L", "-c", "%i", f"/proc/self/ns/{kind}")
        assert inside.strip() == str(os.stat(f"/proc/{pid}/ns/{kind}").st_ino), kind
    _, launched = container.exec("sleep", "60")
    assert launched.process.pid in box.runtime.group(container.id).processes()


def test_user_directory_and_environment(container: Container) -> None:
    code, output = container.run(
        "sh",
        "-c",
        "id -u; id -G; pwd; echo $GREETING",
        user=User(1000, 1000, (50,)),
        cwd="/tmp",
        env=("GREETING=hello",),
    )
    assert code == 0
    lines = output.split("\n")
    assert (lines[0], sorted(lines[1].split()), lines[2:4]) == (
        "1000",
        ["1000", "50"],
        ["/tmp", "hello"],
    )


def test_capabilities_are_none_in_effect_for_others(container: Container) -> None:
    _, output = container.run("grep", "Cap", "/proc/self/status", user=User(1000, 1000))
    found = dict(line.split() for line in output.splitlines())
    assert {found[f"Cap{k}:"] for k in ("Inh", "Prm", "Eff", "Amb")} == {"0" * 16}


def test_the_filter_is_on(container: Container) -> None:
    _, output = container.run("grep", "Seccomp:", "/proc/self/status")
    assert output.split() == ["Seccomp:", "2"]


def test_only_its_own_descriptors_are_open(container: Container) -> None:
    _, output = container.run("ls", "/proc/self/fd")
    assert output.split() == ["0", "1", "2", "3"]


def test_input_and_its_end(container: Container) -> None:
    clients: list[socket.socket] = []
    directory, launched = container.exec(
        "wc", "-c", stdin=True, on_attachable=lambda d: clients.append(conmon.connect(d))
    )
    clients[0].send(b"12345")
    clients[0].shutdown(socket.SHUT_WR)
    assert received(clients[0]).split() == [b"5"]
    assert launched.monitor.wait(10)
    assert conmon.exit_code(directory) == 0


def test_a_terminal(container: Container) -> None:
    clients: list[socket.socket] = []
    directory, launched = container.exec(
        "sh",
        "-c",
        "tty; stty size; read x; stty size; exit 4",
        terminal=True,
        stdin=True,
        console_size=(20, 70),
        on_attachable=lambda d: clients.append(conmon.connect(d)),
    )
    client, output = clients[0], b""
    while b"20 70" not in output:
        output += client.recv(conmon.MOST_PACKET)[1:]
    conmon.resize(directory, 33, 99)
    client.send(b"\n")
    output = received(client)
    assert b"33 99" in output
    assert launched.monitor.wait(10)
    assert conmon.exit_code(directory) == 4


def test_a_short_command_on_a_terminal_keeps_its_code(container: Container) -> None:
    for _ in range(5):
        code, output = container.run("sh", "-c", "echo hi; exit 6", terminal=True)
        assert (code, output) == (6, "hi\r\n")


def test_without_a_client_it_runs_all_the_same(container: Container) -> None:
    directory, launched = container.exec(
        "sh", "-c", "yes | head -c 300000; touch /tmp/done; exit 2"
    )
    assert launched.monitor.wait(10)
    assert conmon.exit_code(directory) == 2
    assert (container.box.rootfs / "tmp/done").exists()


def test_a_missing_command_is_127(container: Container) -> None:
    with pytest.raises(CommandNotFound) as caught:
        container.exec("no-such-command")
    assert str(caught.value).startswith("OCI runtime exec failed: ")
    assert 'exec: "no-such-command": executable file not found in $PATH: unknown' in str(
        caught.value
    )


def test_a_file_that_may_not_be_executed_is_126(container: Container) -> None:
    (container.box.rootfs / "plain").write_text("x")
    with pytest.raises(CommandNotExecutable):
        container.exec("/plain")


def test_a_missing_command_is_127_on_a_terminal_too(container: Container) -> None:
    with pytest.raises(CommandNotFound):
        container.exec("no-such-command", terminal=True)


def test_a_missing_directory_is_told(container: Container) -> None:
    with pytest.raises(RuntimeFailed) as caught:
        container.exec("true", cwd="/nowhere")
    assert "/nowhere" in str(caught.value)


def test_a_directory_that_leads_out_is_refused(container: Container) -> None:
    (container.box.rootfs / "way").symlink_to("/proc/self/fd/7")
    fd = roots.open_root(f"/proc/{container.launched.process.pid}/root")
    try:
        for path in ("/proc/self/fd/7", "/proc/1/root", "/way", "tmp"):
            with pytest.raises(BadWorkingDirectory):
                roots.check_working_directory(fd, path)
        roots.check_working_directory(fd, "/tmp")
        roots.check_working_directory(fd, "/not/there")
    finally:
        os.close(fd)


def test_it_ends_with_the_container(container: Container) -> None:
    directory, launched = container.exec("sleep", "60")
    container.kill(signal.SIGKILL)
    assert launched.monitor.wait(5)
    reap(launched.monitor.pid)
    assert conmon.exit_code(directory) == 137


def test_nothing_runs_in_an_ended_container(container: Container) -> None:
    container.kill(signal.SIGKILL)
    container.wait()
    with pytest.raises(RuntimeFailed):
        container.exec("true")


def test_a_container_may_end_while_an_exec_has_its_output_open(box: Box) -> None:
    container = box.run("sh", "-c", "sleep 0.3; exit 9")
    container.exec("sh", "-c", "trap '' TERM HUP; sleep 600")
    assert container.wait() == 9


def test_a_process_reads_what_was_mounted(box: Box, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/file").write_text("content")
    container = box.run(
        "sleep", "60", mounts=(MountPoint.bind(str(tmp_path / "shared"), "/data", read_only=True),)
    )
    assert container.run("cat", "/data/file") == (0, "content")
    assert container.run("touch", "/data/new")[0] != 0


def test_many_at_once(container: Container) -> None:
    began = time.monotonic()
    started = [container.exec("sleep", "0.3") for _ in range(5)]
    for _, launched in started:
        assert launched.monitor.wait(10)
    until(lambda: all(conmon.exit_code(d) == 0 for d, _ in started))
    assert time.monotonic() - began < 10
