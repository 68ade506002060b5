"""What containers say and hear by lading's own command: logs, attach, exec, terminals."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from cli_story import PATIENCE, Story, eventually

COUNT = "i=1; while [ $i -le {} ]; do echo line $i; i=$((i+1)); sleep {}; done"
DETACH = "\x10\x11"


def instant() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class TestLogs:
    def test_both_streams_come_back_as_they_were(self, lading: Story) -> None:
        lading("run", "-d", "--name", "two", "busybox", "sh", "-c", "echo out; echo err >&2")
        lading("wait", "two")
        done = lading("logs", "two")
        assert (done.stdout, done.stderr) == ("out\n", "err\n")

    def test_following_ends_with_the_container(self, lading: Story) -> None:
        lading("run", "-d", "--name", "talks", "busybox", "sh", "-c", COUNT.format(5, 0.05))
        assert lading.out("logs", "-f", "talks").split("\n") == [f"line {n}" for n in range(1, 6)]

    def test_following_begins_where_it_is_told(self, lading: Story) -> None:
        script = "for i in 1 2 3; do echo line $i; done; read x; echo last"
        lading("run", "-d", "-i", "--name", "waits", "busybox", "sh", "-c", script)
        eventually(lambda: "line 3" in lading.out("logs", "waits"))
        with lading.beside("logs", "--follow", "--tail", "1", "waits") as logs:
            assert logs.stdout and logs.stdout.readline() == "line 3\n"
            with lading.beside("attach", "waits", stdin=-1) as attached:
                attached.communicate("go\n", timeout=PATIENCE)
            assert logs.communicate(timeout=PATIENCE)[0] == "last\n"

    def test_the_last_lines(self, lading: Story) -> None:
        lading("run", "--name", "talks", "busybox", "sh", "-c", COUNT.format(5, 0))
        assert lading.out("logs", "--tail", "2", "talks") == "line 4\nline 5"
        assert lading.out("logs", "-n", "1", "talks") == "line 5"
        assert lading.out("logs", "--tail", "0", "talks") == ""
        assert lading.out("logs", "--tail", "all", "talks").count("\n") == 4

    def test_times_choose_and_are_shown(self, lading: Story) -> None:
        script = "echo early; read x; echo late"
        lading("run", "-d", "-i", "--name", "times", "busybox", "sh", "-c", script)
        eventually(lambda: lading.out("logs", "times") == "early")
        between = instant()
        lading("attach", "times", input="go\n")
        assert lading.out("logs", "--since", between, "times") == "late"
        assert lading.out("logs", "--until", between, "times") == "early"
        assert lading.out("logs", "--since", "10m", "times") == "early\nlate"
        assert lading.out("logs", "--until", "10m", "times") == ""
        first = lading.out("logs", "-t", "times").splitlines()[0]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z early", first)

    def test_following_stops_at_a_time(self, lading: Story) -> None:
        lading("run", "-d", "--name", "talks", "busybox", "sh", "-c", COUNT.format(1000, 0.02))
        until = f"{time.time() + 0.5:.3f}"
        assert "line 1\n" in lading.out("logs", "-f", "--until", until, "talks")

    def test_ctrl_c_ends_it_and_leaves_the_container(self, lading: Story) -> None:
        lading("run", "-d", "--name", "talks", "busybox", "sh", "-c", COUNT.format(1000, 0.02))
        with lading.terminal("logs", "-f", "talks") as terminal:
            terminal.until("line 3")
            terminal.type("\x03")
            assert terminal.end() == 130
        assert lading.field("talks", "{{.State.Running}}") == "true"

    def test_a_terminals_log_is_one_stream(self, lading: Story) -> None:
        lading("run", "-d", "-t", "--name", "tty", "busybox", "sh", "-c", "echo a; echo b >&2")
        lading("wait", "tty")
        assert lading.raw("logs", "tty") == b"a\r\nb\r\n"


def _rotated(lading: Story, name: str, wave: str) -> bool:
    """Whether all of a wave lies in a file that is full and laid aside."""
    place = lading.daemon.settings.root / "containers"
    last = f" {wave} 500\n".encode()
    for identity in lading.out("ps", "-q", "--no-trunc", "-f", f"name={name}").split():
        files = [path for path in (place / identity).rglob("*log*") if path.is_file()]
        return any(path.read_bytes().endswith(last) and path.suffix == ".1" for path in files)
    return False


class TestRotation:
    def test_what_is_kept_is_shown_and_no_more(self, lading: Story) -> None:
        script = "while read x; do for i in $(seq 500); do echo $x $i; done; done"
        limits = ("--log-opt", "max-size=10k", "--log-opt", "max-file=2")
        command = ("run", "-i", *limits, "--name", "long", "busybox", "sh", "-c", script)
        with lading.beside(*command, stdin=-1, stdout=subprocess.DEVNULL) as run:
            assert run.stdin
            for wave in ("first", "second"):
                run.stdin.write(f"{wave}\n")
                run.stdin.flush()
                eventually(partial(_rotated, lading, "long", wave))
            run.communicate("third\n", timeout=PATIENCE)
        kept = [f"{wave} {n}" for wave in ("second", "third") for n in range(1, 501)]
        assert lading.out("logs", "long").splitlines() == kept
        assert lading.out("logs", "--tail", "501", "long").splitlines() == kept[499:]

    def test_no_log_at_all(self, lading: Story) -> None:
        done = lading("run", "--name", "quiet", "--log-driver", "none", "busybox", "echo", "heard")
        assert done.stdout == "heard\n"
        told = lading("logs", "quiet", check=1).stderr
        assert "configured logging driver does not support reading" in told

    def test_a_driver_or_option_that_is_none_is_refused(self, lading: Story) -> None:
        assert "syslog" in lading("run", "--log-driver", "syslog", "busybox", check=125).stderr
        assert "nope" in lading("run", "--log-opt", "nope=1", "busybox", check=125).stderr


class TestAttach:
    def test_it_gives_the_exit_code_and_what_is_said(self, lading: Story) -> None:
        script = "read x; echo got $x; exit 8"
        lading("run", "-d", "-i", "--name", "reads", "busybox", "sh", "-c", script)
        assert lading("attach", "reads", input="this\n", check=8).stdout == "got this\n"
        told = lading("attach", "reads", check=1).stderr
        assert "cannot attach to a stopped container" in told.lower()

    def test_it_can_listen_only(self, lading: Story) -> None:
        script = "while :; do echo said; sleep 0.05; done"
        lading("run", "-d", "-i", "--name", "says", "busybox", "sh", "-c", script)
        with lading.beside("attach", "--no-stdin", "says", stdin=-1) as attached:
            assert attached.stdout and attached.stdout.readline() == "said\n"
            lading("kill", "says")
            assert attached.wait(PATIENCE) == 137

    def test_signals_reach_the_container_or_do_not(self, lading: Story) -> None:
        script = "trap 'exit 3' HUP; while :; do echo ready; sleep 0.05; done"
        lading("run", "-d", "--name", "trap", "busybox", "sh", "-c", script)
        eventually(lambda: "ready" in lading.out("logs", "trap"))
        for flags, sent in ((["--sig-proxy=false"], signal.SIGTERM), ([], signal.SIGHUP)):
            with lading.beside("attach", *flags, "trap") as attached:
                assert attached.stdout and attached.stdout.readline() == "ready\n"
                attached.send_signal(sent)
                code = attached.wait(PATIENCE)
            running = lading.field("trap", "{{.State.Running}}")
            assert (code, running) == (3, "false") if not flags else running == "true"

    def test_a_terminal_is_left_and_taken_up_again(self, lading: Story) -> None:
        with lading.terminal("run", "-it", "--name", "left", "busybox", "sh") as terminal:
            terminal.until("# ")
            terminal.type(DETACH)
            assert terminal.end() == 0
        assert lading.field("left", "{{.State.Running}}") == "true"
        with lading.terminal("attach", "--detach-keys", "ctrl-a,x", "left") as terminal:
            terminal.type("echo $((40+2))\n")
            terminal.until("42")
            terminal.type("\x01x")
            assert terminal.end() == 1
            assert "read escape sequence" in terminal.shown
        with lading.terminal("attach", "left") as terminal:
            terminal.type("exit 3\n")
            assert terminal.end() == 3


class TestExec:
    @pytest.fixture
    def box(self, lading: Story) -> str:
        lading(
            "run", "-d", "--name", "box", "-e", "OUTER=1", "-w", "/tmp", "busybox", "sleep", "99"
        )
        return "box"

    def test_user_place_and_variables(self, lading: Story, box: str) -> None:
        script = "id -u; id -g; pwd; echo $INNER $OUTER"
        options = ("-u", "1234:4321", "-w", "/etc", "-e", "INNER=2")
        told = lading.out("exec", *options, box, "sh", "-c", script).split()
        assert told == ["1234", "4321", "/etc", "2", "1"]
        assert lading.out("exec", box, "pwd") == "/tmp"
        assert lading.out("exec", "-u", "www-data", box, "id", "-un") == "www-data"

    def test_exit_codes(self, lading: Story, box: str) -> None:
        lading("exec", box, "sh", "-c", "exit 9", check=9)
        assert "not found" in lading("exec", box, "nope", check=127).stdout
        assert "permission denied" in lading("exec", box, "/etc", check=126).stdout
        lading("exec", box, "sh", "-c", "kill -9 $$", check=137)
        assert "No such container: nope" in lading("exec", "nope", "true", check=1).stderr
        told = lading("exec", "-u", "nobody-here", box, "true", check=126)
        assert "nobody-here" in told.stdout + told.stderr

    def test_input_and_both_outputs(self, lading: Story, box: str) -> None:
        done = lading("exec", "-i", box, "sh", "-c", "cat; echo err >&2", input="x" * 100_000)
        assert (done.stdout, done.stderr) == ("x" * 100_000, "err\n")
        assert lading("exec", box, "cat", input="unheard").stdout == ""

    def test_detached_it_goes_on_alone(self, lading: Story, box: str) -> None:
        assert lading.out("exec", "-d", box, "sh", "-c", "sleep 0.2; touch /tmp/done") == ""
        eventually(lambda: "done" in lading.out("exec", box, "ls", "/tmp"))

    def test_a_terminal(self, lading: Story, box: str) -> None:
        with lading.terminal("exec", "-it", box, "sh") as terminal:
            terminal.until("# ")
            terminal.type("tty; stty size\n")
            terminal.until("31 91")
            terminal.resize(40, 100)
            terminal.type("sleep 0.2; stty size\n")
            terminal.until("40 100")
            terminal.type("exit 4\n")
            assert terminal.end() == 4
        assert "/dev/pts/" in terminal.shown
        with lading.terminal("exec", "-it", box, "sh") as terminal:
            terminal.until("# ")
            terminal.type(DETACH)
            assert terminal.end() == 1
        assert "not a TTY" in lading("exec", "-it", box, "sh", stdin=-3, check=1).stderr

    def test_privileges(self, lading: Story, box: str) -> None:
        look = ("grep", "CapEff", "/proc/self/status")
        usual = int(lading.out("exec", box, *look).split()[1], 16)
        wide = int(lading.out("exec", "--privileged", box, *look).split()[1], 16)
        assert wide & usual == usual and wide >> 21 & 1 and not usual >> 21 & 1  # CAP_SYS_ADMIN

    def test_its_variables_come_from_files_too(
        self, lading: Story, box: str, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("# none\nFROM=file\n")
        assert (
            lading.out("exec", "--env-file", f"{tmp_path}/file", box, "sh", "-c", "echo $FROM")
            == "file"
        )


class TestTerminalOfRun:
    def test_it_is_one_and_follows_its_size(self, lading: Story) -> None:
        with lading.terminal("run", "--rm", "-it", "busybox", "sh") as terminal:
            terminal.until("# ")
            terminal.type("stty size\n")
            terminal.until("31 91")
            terminal.resize(50, 120)
            terminal.type("sleep 0.2; stty size\n")
            terminal.until("50 120")
            terminal.type("echo $TERM; exit 4\n")
            assert terminal.end() == 4
        assert "xterm" in terminal.shown
        assert lading.out("ps", "-aq") == ""

    def test_ctrl_c_goes_to_the_program_inside(self, lading: Story) -> None:
        with lading.terminal("run", "--rm", "-it", "busybox", "sh") as terminal:
            terminal.until("# ")
            terminal.type("echo go; sleep 100\n")
            terminal.until("go\r\n")
            terminal.type("\x03")
            terminal.until("# ")
            terminal.type("exit 5\n")
            assert terminal.end() == 5

    def test_ctrl_c_without_a_terminal_inside_is_a_signal(self, lading: Story) -> None:
        script = "trap 'exit 7' INT; echo ready; while :; do sleep 0.02; done"
        with lading.terminal("run", "--rm", "busybox", "sh", "-c", script) as terminal:
            terminal.until("ready")
            terminal.type("\x03")
            assert terminal.end() == 7

    def test_it_is_refused_where_there_is_none(self, lading: Story) -> None:
        done = lading("run", "--rm", "-it", "busybox", "sh", input="exit 3\n", check=1)
        assert "the input device is not a TTY" in done.stderr
