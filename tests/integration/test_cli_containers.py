"""The life of containers by lading's own command: from create to rm, and what is told of it."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from cli_story import Story, eventually

TRAP = "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.02; done"
DEAF = "trap '' TERM; echo ready; while :; do sleep 0.02; done"


def ready(lading: Story, name: str, script: str, *options: str) -> None:
    """Run *script*, and wait until it says so."""
    lading("run", "-d", "--name", name, *options, "busybox", "sh", "-c", script)
    eventually(lambda: "ready" in lading.out("logs", name))


class TestCreateAndStart:
    def test_a_created_one_waits_to_be_started(self, lading: Story) -> None:
        container = lading.out("create", "--name", "waits", "busybox", "echo", "started")
        assert re.fullmatch("[0-9a-f]{64}", container)
        assert lading.field("waits", "{{.State.Status}}") == "created"
        assert lading.out("start", "-a", "waits") == "started"
        assert lading.field("waits", "{{.State.Status}} {{.State.ExitCode}}") == "exited 0"

    def test_start_prints_the_names(self, lading: Story) -> None:
        for name in ("first", "second"):
            lading("create", "--name", name, "busybox", "sleep", "100")
        assert lading.out("start", "first", "second").split() == ["first", "second"]
        assert set(lading.out("ps", "--format", "{{.Names}}").split()) == {"first", "second"}

    def test_start_attaches_feeds_and_gives_the_exit_code(self, lading: Story) -> None:
        lading("create", "-i", "--name", "reader", "busybox", "sh", "-c", "cat; exit 6")
        assert lading("start", "-a", "-i", "reader", input="fed", check=6).stdout == "fed"
        assert lading("start", "-ai", "reader", input="again", check=6).stdout == "again"

    def test_one_that_is_not_there_is_told(self, lading: Story) -> None:
        assert "No such container: nope" in lading("start", "nope", check=1).stderr
        assert (
            "No such image: nope:latest" in lading("create", "--pull=never", "nope", check=1).stderr
        )

    def test_a_command_that_is_not_there_leaves_it_created(self, lading: Story) -> None:
        lading("create", "--name", "wrong", "busybox", "/nope")
        assert "no such file" in lading("start", "wrong", check=1).stderr.lower()
        assert lading.field("wrong", "{{.State.Status}} {{.State.ExitCode}}") == "created 127"


class TestStopping:
    def test_stop_asks_first(self, lading: Story) -> None:
        ready(lading, "polite", TRAP)
        assert lading.out("stop", "polite") == "polite"
        assert lading.out("logs", "polite").endswith("bye")
        assert lading.out("wait", "polite") == "5"

    def test_stop_kills_when_the_time_is_over(self, lading: Story) -> None:
        ready(lading, "deaf", DEAF)
        began = time.monotonic()
        lading("stop", "-t", "1", "deaf")
        assert 0.9 < time.monotonic() - began < 9
        assert lading.field("deaf", "{{.State.ExitCode}}") == "137"

    def test_stop_sends_the_signal_it_is_told(self, lading: Story) -> None:
        ready(lading, "usr1", TRAP.replace("TERM", "USR1"))
        lading("stop", "--signal", "USR1", "usr1")
        assert lading.out("wait", "usr1") == "5"

    def test_the_containers_own_signal_and_time_are_kept(self, lading: Story) -> None:
        ready(lading, "usr2", TRAP.replace("TERM", "USR2"), "--stop-signal", "SIGUSR2")
        ready(lading, "short", DEAF, "--stop-timeout", "1")
        began = time.monotonic()
        lading("stop", "usr2", "short")
        assert time.monotonic() - began < 9
        assert lading.out("wait", "usr2", "short").split() == ["5", "137"]

    def test_kill_sends_any_signal(self, lading: Story) -> None:
        ready(lading, "killed", TRAP.replace("TERM", "HUP"))
        lading("kill", "-s", "HUP", "killed")
        assert lading.out("wait", "killed") == "5"
        assert "is not running" in lading("kill", "killed", check=1).stderr
        lading("start", "killed")
        assert lading.out("kill", "killed") == "killed"
        assert lading.out("wait", "killed") == "137"
        assert "invalid signal" in lading("kill", "-s", "NOPE", "killed", check=1).stderr.lower()

    def test_restart_keeps_what_would_go_at_its_end(self, lading: Story) -> None:
        lading("run", "-d", "--rm", "--name", "brief", "-v", "/kept", "busybox", "sleep", "100")
        lading("exec", "brief", "touch", "/kept/mark", "/mark")
        lading("restart", "-t", "0", "brief")
        assert lading.field("brief", "{{.State.Running}}") == "true"
        lading("exec", "brief", "ls", "/kept/mark", "/mark")
        lading("stop", "-t", "0", "brief")
        eventually(lambda: "brief" not in lading.out("ps", "-a"))
        assert not lading.out("volume", "ls", "-q")

    def test_restart_gives_another_process(self, lading: Story) -> None:
        ready(lading, "again", TRAP)
        before = lading.field("again", "{{.State.Pid}}")
        lading("restart", "-t", "5", "again")
        assert lading.field("again", "{{.State.Pid}} {{.State.Running}}") != f"{before} true"
        assert lading.field("again", "{{.State.Running}}") == "true"
        eventually(lambda: lading.out("logs", "again").count("ready") == 2)
        assert "bye" in lading.out("logs", "again")

    def test_wait_waits_for_all(self, lading: Story) -> None:
        for name, code in (("one", 1), ("two", 2)):
            lading("run", "-d", "--name", name, "busybox", "sh", "-c", f"sleep 0.3; exit {code}")
        assert lading.out("wait", "one", "two").split() == ["1", "2"]
        assert "No such container: nope" in lading("wait", "nope", check=1).stderr


def test_a_paused_one_stands_still(lading: Story) -> None:
    counting = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done"
    lading("run", "-d", "--name", "clock", "busybox", "sh", "-c", counting)
    assert lading.out("pause", "clock") == "clock"
    assert "(Paused)" in lading.out("ps")
    first = lading.out("logs", "--tail", "1", "clock")
    time.sleep(0.15)
    assert lading.out("logs", "--tail", "1", "clock") == first
    assert "is already paused" in lading("pause", "clock", check=1).stderr
    assert "paused" in lading("exec", "clock", "true", check=1).stderr
    lading("unpause", "clock")
    eventually(lambda: lading.out("logs", "--tail", "1", "clock") != first)
    assert "is not paused" in lading("unpause", "clock", check=1).stderr


class TestRemoval:
    def test_a_running_one_is_removed_by_force_alone(self, lading: Story) -> None:
        lading("run", "-d", "--name", "runs", "busybox", "sleep", "100")
        told = lading("rm", "runs", check=1).stderr
        assert "cannot remove container" in told and "container is running" in told
        assert lading.out("rm", "-f", "runs") == "runs"
        assert lading.out("ps", "-aq") == ""
        assert "No such container: runs" in lading("rm", "runs", check=1).stderr
        lading("rm", "-f", "runs")

    def test_anonymous_volumes_go_when_asked(self, lading: Story) -> None:
        for name in ("keeps", "loses"):
            lading("create", "--name", name, "-v", "/data", "-v", "named:/other", "busybox")
        assert len(lading.out("volume", "ls", "-q").split()) == 3
        lading("rm", "-v", "loses")
        assert len(lading.out("volume", "ls", "-q").split()) == 2
        lading("rm", "keeps")
        assert len(lading.out("volume", "ls", "-q").split()) == 2
        assert "named" in lading.out("volume", "ls", "-q").split()

    def test_a_container_that_removes_itself_takes_its_volumes(self, lading: Story) -> None:
        lading.shell("touch /data/file", "-v", "/data")
        eventually(lambda: lading.out("volume", "ls", "-q") == "")
        lading("run", "-d", "--rm", "--name", "brief", "busybox", "sleep", "0.1")
        eventually(lambda: lading.out("ps", "-aq") == "")

    def test_prune_takes_the_stopped_ones(self, lading: Story) -> None:
        lading("run", "-d", "--name", "runs", "busybox", "sleep", "100")
        lading("create", "--name", "old", "--label", "keep=1", "busybox")
        gone = lading.out("create", "--name", "gone", "busybox")
        told = lading.out("container", "prune", "-f", "--filter", "label!=keep")
        assert gone in told and "Total reclaimed space: 0B" in told
        assert set(lading.out("ps", "-a", "--format", "{{.Names}}").split()) == {"runs", "old"}


class TestNames:
    def test_rename(self, lading: Story) -> None:
        lading("create", "--name", "before", "busybox")
        lading("rename", "before", "after")
        assert lading.field("after", "{{.Name}}") == "/after"
        assert "No such container: before" in lading("rm", "before", check=1).stderr
        lading("create", "--name", "taken", "busybox")
        assert "is already in use" in lading("rename", "after", "taken", check=1).stderr

    def test_a_name_in_use_is_refused_and_says_by_whom(self, lading: Story) -> None:
        container = lading.out("create", "--name", "mine", "busybox")
        told = lading("run", "--name", "mine", "busybox", check=125).stderr
        assert 'The container name "/mine" is already in use by container' in told
        assert container in told

    def test_ids_may_be_cut_until_they_are_ambiguous(self, lading: Story) -> None:
        seen: dict[str, str] = {}
        while True:
            container = lading.out("create", "busybox")
            twin = seen.setdefault(container[0], container)
            if twin != container:
                break
        told = lading("inspect", "--type", "container", container[0], check=1).stderr
        assert "Multiple IDs found with provided prefix" in told
        assert "Multiple IDs found" in lading("rm", container[0], check=1).stderr
        assert lading.out("rm", container[:12]) == container[:12]
        assert lading.out("rm", twin[:12]) == twin[:12]

    def test_names_that_are_none_are_refused(self, lading: Story) -> None:
        for name in ("../escape", "-dash", "a b", "x/y"):
            told = lading("create", f"--name={name}", "busybox", check=1).stderr
            assert "Invalid container name" in told, name


class TestList:
    def test_which_ones(self, lading: Story) -> None:
        names = ["oldest", "middle", "newest"]
        for name in names:
            command = ("run", "-d") if name == "middle" else ("create",)
            lading(*command, "--name", name, "busybox", "sleep", "100")

        def shown(*words: str) -> list[str]:
            return lading.out("ps", "--format", "{{.Names}}", *words).split()

        assert shown() == ["middle"]
        assert shown("-a") == shown("--all") == names[::-1]
        assert shown("-n", "2") == names[:0:-1]
        assert shown("-l") == ["newest"]
        assert shown("-a", "--filter", "status=created") == ["newest", "oldest"]

    def test_filters(self, lading: Story) -> None:
        lading(
            "run", "--name", "failed", "--label", "a=b", "busybox", "sh", "-c", "exit 3", check=3
        )
        lading(
            "run", "-d", "--name", "runs", "-v", "vol:/data", "-p", "80", "busybox", "sleep", "9"
        )

        def found(*filters: str) -> list[str]:
            words = [word for each in filters for word in ("-f", each)]
            return lading.out("ps", "-a", "--format", "{{.Names}}", *words).split()

        identity = lading.field("runs", "{{.Id}}")
        assert found("name=fail") == found("exited=3") == found("status=exited") == ["failed"]
        assert found("label=a") == found("label=a=b") == found("before=runs") == ["failed"]
        assert found("ancestor=busybox") == ["runs", "failed"]
        assert found("volume=vol") == found("id=" + identity[:8]) == ["runs"]
        assert found("since=failed") == found("publish=80") == found("network=bridge", "name=runs")
        assert found("since=failed") == ["runs"]
        assert found("label=nope") == []
        assert "invalid filter 'nope'" in lading("ps", "-f", "nope=1", check=1).stderr

    def test_columns_and_formats(self, lading: Story) -> None:
        identity = lading.out("run", "-d", "--name", "row", "busybox", "sleep", "1000000000000000")
        head, row = lading.out("ps").splitlines()
        assert head.split()[:3] == ["CONTAINER", "ID", "IMAGE"]
        assert row.split()[0] == identity[:12] and row.split()[-1] == "row"
        assert '"sleep 1000000000000…"' in row and "Up " in row
        assert '"sleep 1000000000000000"' in lading.out("ps", "--no-trunc")
        assert lading.out("ps", "-q") == identity[:12]
        assert lading.out("ps", "-q", "--no-trunc") == identity
        shown = json.loads(lading.out("ps", "--format", "json"))
        assert (shown["Names"], shown["State"], shown["Image"]) == ("row", "running", "busybox")
        assert lading.out("ps", "--format", "table {{.Names}}").split() == ["NAMES", "row"]

    def test_sizes(self, lading: Story) -> None:
        script = "head -c 300000 /dev/zero >/file"
        lading("run", "--name", "fat", "busybox", "sh", "-c", script)
        assert "SIZE" in lading.out("ps", "-a", "-s")
        assert re.fullmatch(
            r"30\dkB \(virtual 2\.\d+MB\)", lading.out("ps", "-as", "--format", "{{.Size}}")
        )
        assert int(lading.out("inspect", "-s", "-f", "{{.SizeRw}}", "fat")) >= 300_000


class TestLooks:
    def test_inspect_finds_every_kind(self, lading: Story) -> None:
        lading("create", "--name", "thing", "-l", "a=b", "busybox", "echo")
        lading("volume", "create", "box")
        shown = json.loads(lading.out("inspect", "thing", "box", "busybox", "bridge"))
        assert shown[0]["Config"]["Labels"] == {"a": "b"}
        assert [each["Name"] for each in shown if "Name" in each] == ["/thing", "box", "bridge"]
        assert (
            lading.out("container", "inspect", "-f", '{{join .Config.Cmd ","}}', "thing") == "echo"
        )
        done = lading("inspect", "thing", "nope", check=1)
        assert len(json.loads(done.stdout)) == 1 and "No such object: nope" in done.stderr
        assert "No such container: box" in lading("container", "inspect", "box", check=1).stderr

    def test_top(self, lading: Story) -> None:
        ready(lading, "busy", "sleep 100 & echo ready; wait")
        assert "sleep 100" in lading.out("top", "busy")
        assert lading.out("top", "busy", "-o", "comm,pid").split()[::2] == [
            "COMMAND",
            "sh",
            "sleep",
        ]
        lading("kill", "busy")
        lading("wait", "busy")
        assert "is not running" in lading("top", "busy", check=1).stderr

    def test_stats(self, lading: Story) -> None:
        lading("run", "-d", "--name", "spins", "busybox", "sh", "-c", "while :; do :; done")
        form = "{{.Name}} {{.CPUPerc}} {{.PIDs}} {{.MemUsage}}"
        name, percent, pids, usage = lading.out("stats", "--no-stream", "--format", form).split(
            " ", 3
        )
        assert (name, pids) == ("spins", "1")
        assert float(percent.rstrip("%")) > 5
        assert re.fullmatch(r"[\d.]+[kKM]iB / [\d.]+GiB", usage)
        assert lading.out("stats", "--no-stream", "spins").split()[0] == "CONTAINER"

    def test_update(self, lading: Story) -> None:
        lading("run", "-d", "--name", "grows", "-m", "64m", "busybox", "sleep", "100")
        assert lading.out("update", "-m", "128m", "--memory-swap", "256m", "grows") == "grows"
        assert lading.field("grows", "{{.HostConfig.Memory}}") == str(128 << 20)
        script = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max"
        done = lading.daemon.lading("exec", "grows", "sh", "-c", script + " 2>/dev/null")
        assert done.stdout.split() == [str(128 << 20)]
        lading("update", "--restart", "always", "--pids-limit", "33", "grows")
        assert lading.field("grows", "{{.HostConfig.RestartPolicy.Name}}") == "always"
        lading("update", "--restart", "no", "grows")

    def test_diff(self, lading: Story) -> None:
        script = "echo x >/new; rm /etc/group; echo y >>/etc/passwd; mkdir /dir; touch /dir/file"
        lading("run", "--name", "changed", "-v", "/data", "busybox", "sh", "-c", script)
        told = lading.out("diff", "changed").splitlines()
        assert {"A /new", "D /etc/group", "C /etc/passwd", "C /etc", "A /dir", "A /dir/file"} <= {
            *told
        }
        assert not any("/data/" in line for line in told)

    def test_port(self, lading: Story) -> None:
        lading(
            "run",
            "-d",
            "--name",
            "ports",
            "-p",
            "127.0.0.1::80",
            "-p",
            "53/udp",
            "busybox",
            "sleep",
            "100",
        )
        told = lading.out("port", "ports").splitlines()
        assert any(re.fullmatch(r"80/tcp -> 127\.0\.0\.1:\d+", line) for line in told)
        assert any(re.fullmatch(r"53/udp -> 0\.0\.0\.0:\d+", line) for line in told)
        assert re.fullmatch(r"127\.0\.0\.1:\d+", lading.out("port", "ports", "80"))
        assert re.match(r"0\.0\.0\.0:\d+", lading.out("port", "ports", "53/udp"))
        assert "no public port '81'" in lading("port", "ports", "81", check=1).stderr.lower()


class TestRestartPolicies:
    def test_failures_are_counted(self, lading: Story) -> None:
        lading("run", "-d", "--name", "fails", "--restart", "on-failure:2", "busybox", "false")
        lading("run", "-d", "--name", "ends", "--restart", "on-failure:2", "busybox", "true")
        eventually(
            lambda: lading.field("fails", "{{.RestartCount}} {{.State.Status}}") == "2 exited"
        )
        assert lading.field("ends", "{{.RestartCount}} {{.State.Status}}") == "0 exited"

    def test_always_means_also_after_success_but_not_after_stop(self, lading: Story) -> None:
        script = "echo ready; sleep 0.05"
        lading("run", "-d", "--name", "lives", "--restart", "always", "busybox", "sh", "-c", script)
        eventually(lambda: lading.out("logs", "lives").count("ready") >= 2)
        lading("stop", "lives")
        assert lading.field("lives", "{{.State.Status}}") == "exited"
        count = lading.out("logs", "lives").count("ready")
        time.sleep(0.4)
        assert lading.out("logs", "lives").count("ready") == count

    def test_a_policy_that_is_none_is_refused(self, lading: Story) -> None:
        assert "nope" in lading("run", "--restart", "nope", "busybox", check=125).stderr
        told = lading("run", "--rm", "--restart", "always", "busybox", check=125).stderr
        assert "--restart" in told and "--rm" in told


class TestCopy:
    @pytest.fixture
    def box(self, lading: Story) -> str:
        lading("run", "-d", "--name", "box", "-v", "/vol", "busybox", "sleep", "100")
        return "box"

    def test_files_and_directories_go_both_ways(
        self, lading: Story, box: str, tmp_path: Path
    ) -> None:
        (tmp_path / "tree/sub").mkdir(parents=True)
        (tmp_path / "tree/sub/file").write_text("inside")
        (tmp_path / "tree/link").symlink_to("sub/file")
        lading("cp", str(tmp_path / "tree"), f"{box}:/tmp")
        lading("cp", f"{tmp_path}/tree/.", f"{box}:/vol")
        assert lading.out("exec", box, "cat", "/tmp/tree/link", "/vol/sub/file") == "insideinside"
        lading("cp", f"{box}:/tmp/tree/sub", str(tmp_path / "back"))
        assert (tmp_path / "back/file").read_text() == "inside"
        lading("cp", f"{box}:/vol/sub/file", str(tmp_path / "renamed"))
        assert (tmp_path / "renamed").read_text() == "inside"
        lading("cp", "-L", f"{box}:/tmp/tree/link", str(tmp_path / "followed"))
        assert (tmp_path / "followed").read_text() == "inside"
        lading("cp", f"{box}:/tmp/tree/link", str(tmp_path / "kept"))
        assert (tmp_path / "kept").is_symlink()

    def test_a_tar_goes_through_the_pipe_both_ways(self, lading: Story, box: str) -> None:
        lading("exec", box, "sh", "-c", "mkdir /from /to; echo piped >/from/file")
        tar = lading.raw("cp", f"{box}:/from", "-")
        lading.raw("cp", "-", f"{box}:/to", input=tar)
        assert lading.out("exec", box, "cat", "/to/from/file") == "piped"

    def test_owners_are_kept_when_asked(self, lading: Story, box: str, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        (tmp_path / "file").chmod(0o640)
        lading("exec", box, "sh", "-c", "echo x >/owned; chown 1234:4321 /owned")
        lading("cp", "-a", f"{box}:/owned", str(tmp_path / "owned"))
        found = (tmp_path / "owned").stat()
        assert (found.st_uid, found.st_gid) == (1234, 4321)
        lading("cp", str(tmp_path / "file"), f"{box}:/file")
        assert lading.out("exec", box, "stat", "-c", "%a %u", "/file") == "640 0"

    def test_a_stopped_one_serves_too(self, lading: Story, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("early")
        lading("create", "--name", "still", "busybox", "cat", "/file")
        lading("cp", "-q", str(tmp_path / "file"), "still:/file")
        assert lading.out("start", "-a", "still") == "early"

    def test_what_cannot_be_is_told(self, lading: Story, box: str, tmp_path: Path) -> None:
        missing = lading("cp", f"{box}:/nope", str(tmp_path), check=1).stderr
        assert "Could not find the file /nope in container box" in missing
        assert "No such container: nope" in lading("cp", "nope:/x", str(tmp_path), check=1).stderr
        told = lading("cp", str(tmp_path / "none"), f"{box}:/", check=1).stderr
        assert "no such file or directory" in told.lower()
        between = lading("cp", f"{box}:/etc", f"{box}:/tmp", check=1).stderr
        assert "copying between containers is not supported" in between

    def test_a_link_in_the_container_does_not_lead_out(
        self, lading: Story, box: str, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("secret")
        lading("exec", box, "ln", "-s", str(tmp_path), "/out")
        lading("cp", "-L", f"{box}:/out/file", str(tmp_path / "taken"), check=1)
        assert not (tmp_path / "taken").exists()
