"""Docker's own command plays the whole story against lading, and does not notice."""

from __future__ import annotations

import http.client
import json
import os
import pty
import select
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine_daemon import Daemon

Docker = Callable[..., "subprocess.CompletedProcess[str]"]
SERVER = (
    "mkdir -p /www; [ -e /www/index.html ] || echo $GREETING > /www/index.html;"
    " exec httpd -f -p 80 -h /www"
)


def fetch(port: int) -> str:
    """What a server in the container says, once it is up."""
    deadline = time.monotonic() + 10
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/index.html")
            return connection.getresponse().read().decode()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


def published(docker: Docker, name: str) -> int:
    return int(docker("port", name, "80/tcp").stdout.splitlines()[0].rpartition(":")[2])


def test_the_whole_story(docker: Docker, tmp_path: Path) -> None:
    docker(
        *("run", "-d", "-p", "80", "--name", "web", "-v", "site:/data", "-e", "GREETING=hello"),
        *("busybox", "sh", "-c", SERVER),
    )
    assert fetch(published(docker, "web")) == "hello\n"
    assert "web" in docker("ps").stdout
    docker("exec", "web", "sh", "-c", "echo changed > /www/index.html; echo kept > /data/file")
    assert fetch(published(docker, "web")) == "changed\n"
    assert "A /www/index.html" in docker("diff", "web").stdout
    docker("cp", "web:/www/index.html", str(tmp_path / "page"))
    assert (tmp_path / "page").read_text() == "changed\n"
    (tmp_path / "page").write_text("copied\n")
    docker("cp", str(tmp_path / "page"), "web:/www/index.html")
    assert fetch(published(docker, "web")) == "copied\n"
    docker("commit", "-p", "-m", "a backup", "web", "container-backup")
    docker("tag", "container-backup", "container-backup:v1")
    assert "container-backup" in docker("images").stdout
    assert "a backup" in docker("history", "container-backup").stdout
    archive = tmp_path / "container-backup.tar"
    docker("save", "-o", str(archive), "container-backup")
    with tarfile.open(archive) as tar:
        assert "manifest.json" in tar.getnames()
    docker("rm", "-f", "web")
    docker("rmi", "container-backup", "container-backup:v1")
    assert "container-backup" not in docker("images").stdout
    loaded = docker("load", "-i", str(archive))
    assert "Loaded image: container-backup:latest" in loaded.stdout
    docker("run", "-d", "-p", "80", "--name", "back", "-v", "site:/data", "container-backup")
    assert fetch(published(docker, "back")) == "copied\n"
    assert docker("exec", "back", "cat", "/data/file").stdout == "kept\n"
    docker("rm", "-f", "back")
    docker("rmi", "container-backup")
    docker("volume", "rm", "site")


def test_run_says_what_the_container_said(docker: Docker) -> None:
    done = docker("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7", check=7)
    assert (done.stdout, done.stderr) == ("out\n", "err\n")
    assert docker("ps", "-aq").stdout == ""


def test_run_feeds_the_container(docker: Docker) -> None:
    done = docker("run", "--rm", "-i", "busybox", "wc", "-c", input="x" * 100_000)
    assert done.stdout == "100000\n"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("busybox", "nope"), 127, "executable file not found in $PATH"),
        (("busybox", "/etc"), 126, "permission denied"),
        (("--memory", "5", "busybox", "true"), 125, "Minimum memory limit allowed is 6MB"),
        (("127.0.0.1:1/nope:nope", "true"), 125, "connection refused"),
    ],
)
def test_exit_codes_are_dockers(
    docker: Docker, words: tuple[str, ...], code: int, told: str
) -> None:
    assert told in docker("run", "--rm", *words, check=code).stderr


def test_a_detached_container_is_seen_stopped_and_started(docker: Docker) -> None:
    script = "trap 'echo bye; exit 5' TERM; echo hi; while :; do sleep 0.05; done"
    name = docker("run", "-d", "--name", "one", "busybox", "sh", "-c", script)
    container = name.stdout.strip()
    assert docker("ps", "-q", "--no-trunc").stdout.strip() == container
    docker("pause", "one")
    assert "(Paused)" in docker("ps").stdout
    docker("unpause", "one")
    until(lambda: docker("logs", "one").stdout == "hi\n")
    docker("stop", "one")
    assert docker("wait", "one").stdout == "5\n"
    assert docker("logs", "one").stdout == "hi\nbye\n"
    assert "Exited (5)" in docker("ps", "-a").stdout
    docker("start", "one")
    docker("restart", "-t", "0", "one")
    docker("kill", "one")
    assert docker("wait", "one").stdout == "137\n"
    docker("rename", "one", "other")
    assert (
        docker("inspect", "-f", "{{.Name}} {{.State.ExitCode}}", "other").stdout == "/other 137\n"
    )
    docker("rm", "other")


def test_logs_are_followed_to_the_end(docker: Docker) -> None:
    script = "i=0; while [ $i -lt 10 ]; do echo $i; sleep 0.05; i=$((i+1)); done"
    docker("run", "-d", "--name", "talker", "busybox", "sh", "-c", script)
    assert docker("logs", "-f", "talker").stdout == "".join(f"{n}\n" for n in range(10))
    assert docker("logs", "--tail", "2", "talker").stdout == "8\n9\n"
    assert docker("logs", "-t", "--tail", "1", "talker").stdout.endswith("Z 9\n")


def test_exec_has_its_own_code_user_and_place(docker: Docker) -> None:
    docker("run", "-d", "--name", "host", "busybox", "sleep", "100")
    docker("exec", "host", "sh", "-c", "exit 9", check=9)
    assert (
        docker(
            "exec",
            "-u",
            "1000:1000",
            "-w",
            "/tmp",
            "-e",
            "A=b",
            "host",
            "sh",
            "-c",
            "id -u; pwd; echo $A",
        ).stdout
        == "1000\n/tmp\nb\n"
    )
    assert docker("exec", "-i", "host", "cat", input="hello").stdout == "hello"
    docker("exec", "host", "nope", check=127)


def test_a_terminal_is_one(docker: Docker, daemon: Daemon) -> None:
    program = _program(docker)
    code, output = in_terminal(
        [program, "run", "--rm", "-it", "--name", "tty", "busybox", "sh"],
        daemon,
        [("# ", "tty\n"), ("/dev/", "stty size\n"), ("31 91", "exit 4\n")],
    )
    assert code == 4, output
    assert "/dev/pts/" in output or "/dev/console" in output


def test_a_terminal_can_be_left_and_taken_up_again(docker: Docker, daemon: Daemon) -> None:
    program = _program(docker)
    code, output = in_terminal(
        [program, "run", "-it", "--name", "left", "busybox", "sh"], daemon, [("# ", "\x10\x11")]
    )
    assert code == 0, output
    assert docker("inspect", "-f", "{{.State.Running}}", "left").stdout == "true\n"
    code, output = in_terminal(
        [program, "attach", "left"], daemon, [("", "\n"), ("# ", "exit 3\n")]
    )
    assert code == 3, output


def _program(docker: Docker) -> str:
    """The docker command that the fixture runs."""
    return str(docker("version", "--format", "x").args[0])


def in_terminal(command: list[str], daemon: Daemon, talk: list[tuple[str, str]]) -> tuple[int, str]:
    """Run *command* in a terminal of 31 rows and 91 columns, answering what it says."""
    master, slave = pty.openpty()
    subprocess.run(["stty", "rows", "31", "cols", "91"], stdin=slave, check=True)
    environment = {**os.environ, "DOCKER_HOST": daemon.settings.host, "TERM": "xterm"}
    child = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
    )
    os.close(slave)
    output = ""
    for wanted, answer in talk:
        output += _until(master, wanted)
        os.write(master, answer.encode())
    output += _until(master, None)
    code = child.wait(20)
    os.close(master)
    return code, output


def _until(master: int, wanted: str | None) -> str:
    """What the terminal shows, until *wanted* is there, or until its end."""
    output = ""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and (wanted is None or wanted not in output):
        if not select.select([master], [], [], 0.5)[0]:
            continue
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        output += piece.decode(errors="replace")
    return output


def test_inspect_formats_and_lists(docker: Docker) -> None:
    docker("run", "-d", "--name", "fields", "-p", "127.0.0.1::80", "busybox", "sleep", "100")
    template = '{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostIp}}'
    assert docker("inspect", "-f", template, "fields").stdout == "127.0.0.1\n"
    shown = json.loads(docker("inspect", "fields").stdout)
    assert shown[0]["State"]["Status"] == "running"
    assert "127.0.0.1:" in docker("ps", "--format", "{{.Ports}}").stdout
    assert docker("ps", "--filter", "name=fields", "-q").stdout.strip()
    assert docker("ps", "--filter", "name=other", "-q").stdout == ""
    assert "sleep 100" in docker("top", "fields").stdout


def test_volumes(docker: Docker) -> None:
    docker("volume", "create", "--label", "a=b", "v1")
    assert "v1" in docker("volume", "ls").stdout
    assert json.loads(docker("volume", "inspect", "v1").stdout)[0]["Labels"] == {"a": "b"}
    docker("run", "--name", "user", "-v", "v1:/v", "busybox", "touch", "/v/x")
    assert "volume is in use" in docker("volume", "rm", "v1", check=1).stderr
    docker("rm", "user")
    docker("volume", "rm", "v1")
    assert "no such volume" in docker("volume", "inspect", "v1", check=1).stderr.lower()


def test_import_export(docker: Docker, tmp_path: Path) -> None:
    docker("create", "--name", "source", "busybox", "true")
    docker("export", "-o", str(tmp_path / "fs.tar"), "source")
    docker("import", "-c", 'CMD ["echo", "hi"]', str(tmp_path / "fs.tar"), "flat:1")
    assert docker("run", "--rm", "flat:1").stdout == "hi\n"
    docker("rmi", "flat:1")


def test_system(docker: Docker, daemon: Daemon) -> None:
    docker("run", "-d", "busybox", "sleep", "100")
    assert "lading" in docker("info").stdout.lower()
    assert "Server" in docker("version").stdout
    assert "Images" in docker("system", "df").stdout
    assert "Local Volumes" in docker("system", "df", "-v").stdout
    assert docker("network", "ls", "--format", "{{.Name}}").stdout.split() == [
        "bridge",
        "host",
        "none",
    ]
    assert json.loads(docker("network", "inspect", "bridge").stdout)[0]["Containers"]
    until = str(int(time.time()) + 1)
    assert "container" in docker("events", "--since", "1m", "--until", until).stdout
    assert "not a swarm manager" in docker("node", "ls", check=1).stderr
    docker("container", "prune", "-f")
    docker("image", "prune", "-f")


def test_statistics(docker: Docker) -> None:
    docker("run", "-d", "--name", "busy", "busybox", "sh", "-c", "while :; do :; done")
    shown = docker("stats", "--no-stream", "--format", "{{.Name}} {{.CPUPerc}}", "busy").stdout
    name, percent = shown.split()
    assert name == "busy"
    assert float(percent.rstrip("%")) > 5
