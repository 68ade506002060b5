"""Builds that are given up, cut off or killed leave nothing half made, and the next one goes on."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from build_box import BuildBox, context
from engine_daemon import Daemon

SLOW = "FROM busybox\nRUN echo done > /first\nRUN echo begun; sleep 300\n"
MakeDaemon = Callable[..., Daemon]


@pytest.fixture
def box(daemon: Daemon) -> Iterator[BuildBox]:
    box = BuildBox(daemon)
    yield box
    box.clear()
    assert box.leavings() == []


def begun(box: BuildBox, dockerfile: str = SLOW, path: str = "/build?t=never") -> socket.socket:
    """A build whose last command runs."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(30)
    connection.connect(str(box.daemon.settings.socket))
    body = context(dockerfile)
    head = f"POST {path} HTTP/1.1\r\nHost: lading\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    heard = b""
    while b'"begun\\n"' not in heard:
        piece = connection.recv(65536)
        assert piece, heard
        heard += piece
    return connection


def processes(daemon: Daemon) -> list[str]:
    """The monitors of this daemon, and what sleeps in its containers."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cgroup"):
        try:
            if daemon.settings.instance in path.read_text():
                command = path.with_name("cmdline").read_bytes()
                if command and b"daemon" not in command:
                    found.append(f"{path.parent.name} {command!r}")
        except OSError:
            continue
    return found


def until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_client_that_goes_away_ends_the_command(box: BuildBox) -> None:
    begun(box).close()
    until(lambda: not processes(box.daemon))
    until(lambda: box.leavings() == [])
    assert all("never:latest" not in (each["RepoTags"] or ()) for each in box.images())
    assert box.build(SLOW.replace("sleep 300", "true")).hits == 1


def test_a_client_that_goes_away_while_it_sends_leaves_nothing(box: BuildBox) -> None:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(box.daemon.settings.socket))
    body = context("FROM busybox\n", {"f": "x" * 100_000})
    head = f"POST /build HTTP/1.1\r\nHost: lading\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body[:50_000])
    time.sleep(0.2)
    connection.close()
    until(lambda: box.leavings() == [])


def test_a_daemon_that_is_killed_leaves_nothing_and_the_cache(own_daemon: Daemon) -> None:
    box = BuildBox(own_daemon)
    connection = begun(box)
    own_daemon.kill()
    connection.close()
    own_daemon.start()
    assert box.leavings() == []
    until(lambda: not processes(own_daemon))
    assert [each["RepoTags"] for each in box.images()] == [["busybox:latest"]]
    assert box.build(SLOW.replace("sleep 300", "true")).hits == 1


@pytest.mark.parametrize("pause", [0.02, 0.1, 0.2, 0.3, 0.5, 0.8])
def test_a_daemon_that_is_killed_at_any_moment_builds_again(
    own_daemon: Daemon, pause: float
) -> None:
    box = BuildBox(own_daemon)
    text = "FROM busybox AS a\nRUN --mount=type=cache,target=/c echo $$ > /c/x; seq 9 > /s\n"
    text += "FROM busybox\nCOPY f /f\nCOPY --from=a /s /s\nRUN cat /f /s > /all\n"
    failures: list[Exception] = []

    def build() -> None:
        try:
            box.build(text, {"f": "x" * 200_000}, t="made")
        except Exception as error:  # the connection breaks off
            failures.append(error)

    thread = threading.Thread(target=build)
    thread.start()
    time.sleep(pause)
    own_daemon.kill()
    thread.join()
    own_daemon.start()
    assert box.leavings() == []
    names = [name for each in box.images() for name in each["RepoTags"] or ("none",)]
    assert set(names) <= {"busybox:latest", "made:latest"}
    box.build(text, {"f": "x" * 200_000}, t="made")
    assert box.run("made", "wc -c < /all") == "200018\n"


@pytest.mark.parametrize("driver", ["erofs", "overlay", "copying"])
def test_every_snapshotter_builds_the_same(make_daemon: MakeDaemon, driver: str) -> None:
    box = BuildBox(make_daemon("--snapshotter", driver))
    text = (
        "FROM busybox AS a\nRUN mkdir /d && echo x > /d/f && ln /d/f /d/g\n"
        "FROM busybox\nCOPY --from=a /d /d\n"
        "RUN --mount=type=bind,from=a,source=/d,target=/m,rw rm /m/f /d/g; echo y >> /d/f\n"
    )
    built = box.build(text, t="made")
    assert box.run(built.image, "ls /d | xargs; cat /d/f") == "f\nx\ny\n"
    assert box.build(text).hits == 3
    assert box.leavings() == []


def test_pruning_meanwhile_takes_nothing_that_is_in_use(box: BuildBox) -> None:
    text = (
        "FROM busybox\nRUN echo one > /1\nRUN echo two > /2\n"
        "RUN --mount=type=cache,target=/c echo begun; sleep 1; cat /1 /2 > /c/x; cp /c/x /3\n"
    )
    built: list[str] = []
    thread = threading.Thread(target=lambda: built.append(box.build(text, t="made").image))
    thread.start()
    while thread.is_alive():
        box.prune()
        box.client.post("/images/prune")
        box.client.delete("/images/made")
        time.sleep(0.02)
    thread.join()
    assert built
    again = box.build(text, t="made")
    assert box.run(again.image, "cat /3") == "one\ntwo\n"


def test_many_builds_at_once_come_to_the_same(box: BuildBox) -> None:
    built: list[str] = []
    text = "FROM busybox\nRUN touch -d @1 /x\nRUN seq 100 > /y; touch -d @1 /y\n"
    args = {"SOURCE_DATE_EPOCH": "1700000000"}
    threads = [
        threading.Thread(target=lambda: built.append(box.build(text, buildargs=args).image))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 4
    assert len(set(built)) == 1


def test_output_of_a_client_that_reads_slowly_is_whole(box: BuildBox) -> None:
    built = box.build("FROM busybox\nRUN seq 1 100000\n")
    numbers = [line for line in built.text.splitlines() if line.isdigit()]
    assert numbers == [str(n) for n in range(1, 100_001)]


class TestReproducible:
    TEXT = (
        "FROM busybox AS a\nRUN mkdir -p /d/e && seq 9 > /d/e/f\n"
        "FROM busybox\nWORKDIR /w/x\nCOPY --from=a /d /new/place/\nCOPY f .\nADD <<E /h\nx\nE\n"
        "RUN seq 5 > /n; ln /n /m; mkdir /late; rm -rf /tmp\nENV A=1\n"
    )

    def test_the_same_inputs_give_the_same_digests(self, box: BuildBox) -> None:
        args = {"SOURCE_DATE_EPOCH": "1000000000"}
        first = box.build(self.TEXT, {"f": "x"}, buildargs=args, nocache=1)
        time.sleep(1.1)
        again = box.build(self.TEXT, {"f": "x"}, buildargs=args, nocache=1)
        assert again.hits == 0
        assert again.image == first.image

    def test_nothing_is_newer_than_the_epoch(self, box: BuildBox) -> None:
        args = {"SOURCE_DATE_EPOCH": "1000000000"}
        built = box.build(self.TEXT, {"f": "x"}, buildargs=args)
        times = box.run(built.image, "stat -c %Y /w/x /w/x/f /new/place/e/f /h /n /late")
        assert {int(time) for time in times.split()} <= {1_000_000_000, 0}
        inspected = box.inspect(built.image)
        assert inspected["Created"] == "2001-09-09T01:46:40Z"

    def test_squashing_leaves_one_layer_with_the_same_files(self, box: BuildBox) -> None:
        whole = box.build(self.TEXT, {"f": "x"}, t="whole")
        squashed = box.build(self.TEXT, {"f": "x"}, t="squashed", squash=1)
        assert len(box.layers("squashed")) == len(box.layers("busybox")) + 1
        look = "cd / && find . -xdev ! -path './proc*' ! -path './sys*' ! -path './dev*' | sort"
        assert box.run(squashed.image, look) == box.run(whole.image, look)
        assert box.inspect("squashed")["Config"]["Env"] == box.inspect("whole")["Config"]["Env"]
