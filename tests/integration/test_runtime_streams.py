"""A container's input, output, terminal and log on the real monitor."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lading.runtime import conmon, rotation
from lading.runtime.logs import Parser
from runtime_box import Box, received, until


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with Box(tmp_path) as made:
        yield made


def shown(client: socket.socket, wanted: bytes) -> bytes:
    """What comes until *wanted* is in it."""
    output = b""
    while wanted not in output:
        packet = client.recv(conmon.MOST_PACKET)
        assert packet, output
        output += packet[1:]
    return output


def test_whoever_attaches_before_the_start_misses_nothing(box: Box) -> None:
    for _ in range(5):
        container = box.create("sh", "-c", "echo out; echo err >&2")
        client = container.attach()
        container.start()
        packets = []
        while packet := client.recv(conmon.MOST_PACKET):
            packets.append(packet)
        client.close()
        streams = {p[0]: b"".join(q[1:] for q in packets if q[0] == p[0]) for p in packets}
        assert streams == {conmon.STDOUT: b"out\n", conmon.STDERR: b"err\n"}
        assert container.wait() == 0


def test_a_socket_is_reached_however_long_its_path(box: Box) -> None:
    container = box.run("sleep", "60")
    assert len(str(container.bundle / "attach")) > 40
    container.attach().close()


def test_attaching_to_an_ended_container_is_not_found(box: Box) -> None:
    container = box.run("true")
    container.wait()
    with pytest.raises(conmon.NotAttachable):
        container.attach()


def test_input_reaches_the_process_and_its_end_too(box: Box) -> None:
    container = box.create("cat", stdin=True, stdin_once=True)
    client = container.attach()
    container.start()
    client.send(b"hello\n")
    assert shown(client, b"hello\n") == b"hello\n"
    client.send(b"x" * conmon.MOST_INPUT)
    client.shutdown(socket.SHUT_WR)
    assert received(client) == b"x" * conmon.MOST_INPUT
    assert container.wait() == 0


def test_input_larger_than_a_pipe_arrives_whole(box: Box) -> None:
    container = box.create("wc", "-c", stdin=True, stdin_once=True)
    client = container.attach()
    container.start()
    for _ in range(64):
        client.send(b"y" * conmon.MOST_INPUT)
    client.shutdown(socket.SHUT_WR)
    assert received(client).split() == [str(64 * conmon.MOST_INPUT).encode()]


def test_stdin_stays_open_when_a_client_leaves_unless_asked(box: Box) -> None:
    container = box.create("cat", stdin=True)
    first = container.attach()
    container.start()
    first.send(b"one\n")
    shown(first, b"one\n")
    first.close()
    time.sleep(0.1)
    with container.attach() as second:
        second.send(b"two\n")
        assert shown(second, b"two\n") == b"two\n"
    assert container.launched.process.alive()


def test_without_stdin_the_input_is_at_its_end(box: Box) -> None:
    assert box.output("wc", "-c").split() == ["0"]


def test_all_clients_see_the_same(box: Box) -> None:
    for _ in range(10):
        container = box.create("echo", "to all")
        clients = [container.attach() for _ in range(8)]
        assert conmon.settle(container.bundle)
        container.start()
        assert [received(client) for client in clients] == [b"to all\n"] * 8


def test_a_client_that_goes_away_does_not_stop_the_output(box: Box) -> None:
    container = box.create("sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done")
    container.attach().close()
    container.start()
    assert container.wait() == 0
    assert container.text() == "1\n2\n3\n"


def test_a_terminal_is_one(box: Box) -> None:
    container = box.create("sh", "-c", "tty; stty size; echo done", terminal=True, stdin=True)
    client = container.attach()
    container.start()
    output = received(client)
    assert b"/dev/pts/0\r\n" in output
    assert container.wait() == 0


def test_a_terminal_has_the_size_it_was_given(box: Box) -> None:
    container = box.run("stty", "size", terminal=True, console_size=(30, 100))
    assert container.wait() == 0
    assert container.text() == "30 100\r\n"


def test_a_terminal_changes_its_size(box: Box) -> None:
    script = "trap 'stty size' WINCH; echo up; while :; do sleep 0.05; done"
    container = box.create("sh", "-c", script, terminal=True, stdin=True)
    client = container.attach()
    container.start()
    shown(client, b"up")
    conmon.resize(container.bundle, 41, 132)
    assert b"41 132" in shown(client, b"41 132")
    conmon.resize(container.bundle, 5000, 80)
    assert b"1000 80" in shown(client, b"1000 80")
    client.close()


def test_a_terminals_control_c_interrupts(box: Box) -> None:
    script = "trap 'echo interrupted; exit 3' INT; echo up; while :; do sleep 0.05; done"
    container = box.create("sh", "-c", script, terminal=True, stdin=True)
    client = container.attach()
    container.start()
    shown(client, b"up")
    client.send(b"\x03")
    assert b"interrupted" in shown(client, b"interrupted")
    assert container.wait() == 3
    client.close()


def test_resizing_what_has_ended_is_nothing(box: Box) -> None:
    container = box.run("true")
    container.wait()
    conmon.resize(container.bundle, 10, 10)
    box.runtime.delete(container.id)


def test_a_long_line_and_any_bytes_pass_the_log(box: Box) -> None:
    script = "head -c 100000 /dev/zero | tr '\\0' 'a'; printf '\\377\\001\\n\\nend'"
    container = box.run("sh", "-c", script)
    assert container.wait() == 0
    text = container.text()
    assert text == "a" * 100000 + "\udcff\x01\n\nend"
    assert max(len(line) for line in container.log.read_bytes().splitlines()) < 9000


def test_rotation_loses_no_line_and_repeats_none(box: Box) -> None:
    count = 30000
    script = f"i=0; while [ $i -lt {count} ]; do echo $i; i=$((i+1)); done"
    container = box.run("sh", "-c", script)
    rotated = 0
    while container.launched.process.alive():
        rotated += rotation.rotate(container.bundle, container.log, 50)
        time.sleep(0.02)
    assert container.wait() == 0
    assert rotated > 0
    files = rotation.files(container.log, 50)
    assert len(files) == rotated + 1
    parser = Parser()
    entries = [entry for path in files for entry in parser.feed(path.read_bytes())]
    # A line may come in two pieces, where conmon's buffer ended.
    text = b"".join(e.line if e.partial else e.line + b"\n" for e in entries)
    assert [int(line) for line in text.split()] == list(range(count))


def test_rotation_keeps_as_many_files_as_asked(box: Box) -> None:
    container = box.run("sh", "-c", "while :; do echo tick; sleep 0.01; done")
    for _ in range(5):
        until(lambda: container.log.stat().st_size > 0)
        assert rotation.rotate(container.bundle, container.log, 3)
    names = sorted(p.name for p in container.log.parent.glob("log*"))
    assert names == ["log", "log.1", "log.2"]
    assert rotation.rotate(container.bundle, container.log, 1)
    until(lambda: container.log.stat().st_size > 0)


def test_a_rotation_that_was_cut_off_is_finished_by_the_next(box: Box) -> None:
    container = box.run("sh", "-c", "while :; do echo tick; sleep 0.01; done")
    until(lambda: container.log.exists() and container.log.stat().st_size > 0)
    (container.log.parent / "log.1").hardlink_to(container.log)
    assert len(rotation.files(container.log, 3)) == 1
    assert rotation.rotate(container.bundle, container.log, 3)
    assert len(rotation.files(container.log, 3)) == 2


def test_rotation_waits_for_a_monitor_that_is_held_up(box: Box) -> None:
    container = box.create("yes")
    client = container.attach()
    container.start()
    time.sleep(0.3)  # by now the socket is full, and conmon waits for its reader
    assert not rotation.rotate(container.bundle, container.log, 3)
    assert not rotation.rotate(container.bundle, container.log, 3)
    reader = threading.Thread(target=_drain, args=(client,))
    reader.start()
    until(lambda: len(rotation.files(container.log, 3)) == 2)
    box.end(container)
    reader.join(10)


def _drain(client: socket.socket) -> None:
    with client:
        while client.recv(conmon.MOST_PACKET):
            pass
