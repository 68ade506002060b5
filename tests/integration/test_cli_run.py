"""The flags of run that say what is run, as whom and with what: seen from inside."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from cli_story import PATIENCE, Story, eventually

NOWHERE = "127.0.0.1:1/nope"  # nobody listens there


class TestForegroundAndBackground:
    def test_output_errors_and_exit_code_come_through(self, lading: Story) -> None:
        done = lading("run", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7", check=7)
        assert (done.stdout, done.stderr) == ("out\n", "err\n")
        assert lading.out("ps", "-a", "--format", "{{.Status}}").startswith("Exited (7)")

    def test_input_is_passed_on_when_asked(self, lading: Story) -> None:
        done = lading("run", "--rm", "-i", "busybox", "wc", "-c", input="x" * 200_000)
        assert done.stdout == "200000\n"
        assert lading("run", "--rm", "busybox", "cat", input="unheard").stdout == ""

    def test_in_the_background_the_id_is_all(self, lading: Story) -> None:
        done = lading("run", "-d", "busybox", "sleep", "100")
        assert re.fullmatch("[0-9a-f]{64}\n", done.stdout)
        assert lading.out("ps", "-q", "--no-trunc") == done.stdout.strip()

    def test_in_the_background_input_stays_open(self, lading: Story) -> None:
        lading("run", "-d", "-i", "--name", "open", "busybox", "cat")
        lading("run", "-d", "--name", "shut", "busybox", "cat")
        assert lading.out("wait", "shut") == "0"
        assert lading.field("open", "{{.State.Running}}") == "true"

    def test_only_what_is_attached_is_heard(self, lading: Story) -> None:
        done = lading("run", "--rm", "-a", "stderr", "busybox", "sh", "-c", "echo o; echo e >&2")
        assert (done.stdout, done.stderr) == ("", "e\n")

    def test_afterwards_nothing_is_left_when_asked(self, lading: Story) -> None:
        lading("run", "--rm", "--name", "gone", "busybox", "sh", "-c", "exit 3", check=3)
        assert lading.out("ps", "-aq") == ""

    def test_signals_are_passed_on(self, lading: Story) -> None:
        script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.02; done"
        with lading.beside("run", "--rm", "busybox", "sh", "-c", script) as run:
            assert run.stdout and run.stdout.readline() == "ready\n"
            run.send_signal(signal.SIGTERM)
            assert run.wait(PATIENCE) == 9

    def test_a_killed_one_ends_with_137(self, lading: Story) -> None:
        with lading.beside("run", "--name", "victim", "busybox", "sleep", "100") as run:
            eventually(lambda: lading.out("ps", "-q", "-f", "name=victim"))
            lading("kill", "victim")
            assert run.wait(PATIENCE) == 137

    def test_the_client_may_die_and_the_container_goes_on(self, lading: Story) -> None:
        script = "echo ready; sleep 100"
        with lading.beside("run", "--name", "stays", "busybox", "sh", "-c", script) as run:
            assert run.stdout and run.stdout.readline() == "ready\n"
            run.kill()
        assert lading.field("stays", "{{.State.Running}}") == "true"


class TestRefusals:
    @pytest.mark.parametrize(
        ("words", "code", "told"),
        [
            ((), 1, "requires at least 1 argument"),
            (("busybox", "nope"), 127, 'exec: "nope": executable file not found in $PATH'),
            (("busybox", "/nope"), 127, "no such file or directory"),
            (("busybox", "/etc"), 126, "permission denied"),
            (("busybox", "/etc/passwd"), 126, "permission denied"),
            (("--pull=never", "nope", "true"), 125, "No such image: nope:latest"),
            (("Bad:Name", "true"), 125, "invalid reference format"),
            (("-m", "5", "busybox"), 125, "Minimum memory limit allowed is 6MB"),
            (("-w", "relative", "busybox"), 125, "relative"),
            (("-v", "relative/path:/x", "busybox"), 125, "relative/path"),
            (("-e", "=x", "busybox"), 125, "invalid environment variable"),
            (("--label", "=x", "busybox"), 125, "invalid label '=x': empty name"),
            (("-p", "99999:80", "busybox"), 125, "99999"),
            (("--network", "nope", "busybox"), 125, "network nope not found"),
            (("--user", "nobody-here", "busybox"), 125, "unable to find user nobody-here"),
            (("--cap-add", "NOPE", "busybox"), 125, "NOPE"),
            (("--stop-signal", "NOPE", "busybox"), 125, "NOPE"),
            (("--ulimit", "nope=1", "busybox"), 125, "nope"),
            (("--device", "/dev/nope", "busybox"), 127, 'custom device "/dev/nope"'),
            (("--security-opt", "nope=1", "busybox"), 125, "nope"),
            (("--pull", "nope", "busybox"), 125, "invalid pull option"),
        ],
    )
    def test_they_say_why_with_dockers_codes(
        self, lading: Story, words: tuple[str, ...], code: int, told: str
    ) -> None:
        assert told in lading("run", "--rm", *words, check=code).stderr
        assert lading.out("ps", "-aq") == ""

    @pytest.mark.parametrize("flag", ["--gpus=all", "--isolation=hyperv", "--storage-opt=size=1g"])
    def test_what_is_not_there_yet_is_refused_by_name(self, lading: Story, flag: str) -> None:
        told = lading("run", flag, "busybox", "true", check=125).stderr
        assert f"{flag.partition('=')[0]} is not supported yet" in told

    def test_what_nobody_knows_is_refused_by_name(self, lading: Story) -> None:
        told = lading("run", "--nonsense", "busybox", "true", check=125).stderr
        assert "unknown flag: --nonsense" in told
        assert "unknown shorthand flag: 'Z' in -Z" in lading("run", "-Z", "x", check=125).stderr


class TestPull:
    def test_never_and_missing_use_what_is_here(self, lading: Story) -> None:
        for pull in ("never", "missing"):
            assert lading.shell("echo here", "--pull", pull) == "here"

    def test_never_says_that_it_is_not_here(self, lading: Story) -> None:
        told = lading("run", "--pull", "never", "nope", check=125).stderr
        assert told == "lading: No such image: nope:latest\n"

    def test_missing_says_first_what_is_looked_for(self, lading: Story) -> None:
        told = lading("run", "--pull=missing", NOWHERE, check=125).stderr
        assert told.startswith(f"Unable to find image '{NOWHERE}:latest' locally\n")
        quiet = lading("run", "-q", "--pull=missing", NOWHERE, check=125).stderr
        assert "Unable to find" not in quiet


class TestVariables:
    def test_they_come_from_flags_files_and_the_users_own(
        self, lading: Story, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("# a comment\nONE=file\nTWO=two words\nMINE\nNOT_SET\n")
        told = lading.shell(
            "env",
            *("--env-file", f"{tmp_path}/file", "-e", "ONE=flag", "--env", "OTHER", "-e", "E="),
            env={"MINE": "mine", "OTHER": "other"},
        )
        found = set(told.splitlines())
        assert {"ONE=flag", "TWO=two words", "MINE=mine", "OTHER=other", "E="} <= found
        assert not any(line.startswith("NOT_SET") for line in found)

    def test_nothing_of_the_engines_own_is_there(self, lading: Story) -> None:
        names = {line.partition("=")[0] for line in lading.shell("env").splitlines()}
        assert names == {"PATH", "HOME", "HOSTNAME", "SHLVL", "PWD"}

    def test_a_terminal_says_which(self, lading: Story) -> None:
        assert lading.shell("echo $TERM", "-t") == "xterm"


class TestPlaceAndProgram:
    def test_the_working_directory_is_made_and_entered(self, lading: Story) -> None:
        assert lading.shell("pwd; stat -c %u:%a .", "-w", "/new/place") == "/new/place\n0:755"

    def test_the_entry_point(self, lading: Story) -> None:
        words = ("run", "--rm", "--entrypoint", "echo", "busybox", "as", "said")
        assert lading.out(*words) == "as said"
        lading("create", "--name", "source", "busybox")
        lading("commit", "-c", 'ENTRYPOINT ["echo", "fixed"]', "source", "fixed")
        assert lading.out("run", "--rm", "fixed", "more") == "fixed more"
        cleared = ("run", "--rm", "--entrypoint", "", "fixed", "echo", "free")
        assert lading.out(*cleared) == "free"

    def test_the_host_name(self, lading: Story) -> None:
        script = "hostname; cat /etc/hostname; grep -c chosen /etc/hosts"
        assert lading.shell(script, "-h", "chosen").split() == ["chosen", "chosen", "1"]
        identity, file = lading.shell("hostname; cat /etc/hostname").split()
        assert identity == file and re.fullmatch("[0-9a-f]{12}", identity)

    def test_a_name_labels_and_the_id_in_a_file(self, lading: Story, tmp_path: Path) -> None:
        cid = tmp_path / "cid"
        options = ("--name", "known", "--label", "a=b", "-l", "c", "--cidfile", str(cid))
        identity = lading.out("run", "-d", *options, "busybox", "sleep", "100")
        assert cid.read_text() == identity
        assert lading.field("known", "{{json .Config.Labels}}") == '{"a":"b","c":""}'
        told = lading("run", "--cidfile", str(cid), "busybox", check=125).stderr
        assert "container ID file found" in told

    def test_an_init_reaps_and_passes_signals_on(self, lading: Story) -> None:
        assert "sleep" not in lading.shell("cat /proc/1/comm", "--init")
        script = "(sleep 0.01 &) ; sleep 0.3; cat /proc/[0-9]*/stat | grep -c ' Z '; :"
        assert lading.shell(script, "--init").strip() == "0"
        lading("run", "-d", "--init", "--name", "init", "busybox", "sleep", "100")
        lading("stop", "init")
        assert lading.out("wait", "init") == "143"


class TestUsers:
    LOOK = "id -u; id -g; id -G"

    def looks(self, lading: Story, *options: str) -> list[str]:
        return lading.shell(self.LOOK, *options).splitlines()

    def test_numbers_and_names(self, lading: Story) -> None:
        assert self.looks(lading, "-u", "1234:4321") == ["1234", "4321", "4321"]
        assert self.looks(lading, "-u", "1234") == ["1234", "0", "0"]
        assert self.looks(lading, "-u", "www-data")[:2] == ["33", "33"]
        assert self.looks(lading, "--user", "nobody:www-data")[:2] == ["65534", "33"]

    def test_more_groups(self, lading: Story) -> None:
        groups = self.looks(lading, "-u", "33:33", "--group-add", "44", "--group-add", "mail")[2]
        assert set(groups.split()) == {"33", "44", "8"}

    def test_the_home_is_the_users(self, lading: Story) -> None:
        assert lading.shell("echo $HOME", "-u", "www-data") == "/var/www"
        assert lading.shell("echo $HOME") == "/root"

    def test_names_are_resolved_inside_the_root_not_on_the_host(
        self, lading: Story, tmp_path: Path
    ) -> None:
        lading("create", "--name", "source", "busybox")
        (tmp_path / "passwd").write_text("sync:x:4242:2424::/:/bin/sh\n")
        (tmp_path / "group").write_text("inside:x:2424:\nmore:x:77:sync\n")
        for name in ("passwd", "group"):
            lading("cp", str(tmp_path / name), f"source:/etc/{name}")
        lading("commit", "source", "own-users")
        told = lading.out("run", "--rm", "-u", "sync", "own-users", "sh", "-c", self.LOOK).split()
        assert told[:2] == ["4242", "2424"] and set(told[2:]) == {"2424", "77"}
        assert (
            "unable to find user root"
            in lading("run", "--rm", "-u", "root", "own-users", check=125).stderr
        )

    def test_a_link_to_the_hosts_users_does_not_lead_out(
        self, lading: Story, tmp_path: Path
    ) -> None:
        (tmp_path / "passwd").write_text("ghost:x:4242:4242::/:/bin/sh\n")
        script = f"rm /etc/passwd; ln -s {tmp_path}/passwd /etc/passwd"
        lading("run", "--name", "source", "busybox", "sh", "-c", script)
        lading("commit", "source", "linked")
        told = lading("run", "--rm", "-u", "ghost", "linked", check=125).stderr
        assert "unable to find user ghost" in told


class TestSpaces:
    def test_processes_of_another_are_seen_when_asked(self, lading: Story) -> None:
        lading("run", "-d", "--name", "base", "--ipc", "shareable", "busybox", "sleep", "4242")
        assert "sleep 4242" in lading.shell("ps", "--pid", "container:base")
        assert "sleep 4242" not in lading.shell("ps")
        look = ("readlink", "/proc/self/ns/ipc")
        shared = lading.out("run", "--rm", "--ipc", "container:base", "busybox", *look)
        assert shared == lading.out("exec", "base", *look)

    def test_the_control_groups_are_its_own_or_the_hosts(self, lading: Story) -> None:
        here = str(Path("/proc/self/ns/cgroup").readlink())
        look = "readlink /proc/self/ns/cgroup"
        assert lading.shell(look, "--cgroupns", "host") == here
        assert lading.shell(look, "--cgroupns", "private") != here

    def test_the_domain_is_part_of_the_name(self, lading: Story) -> None:
        told = lading.shell("hostname -d; hostname -f", "-h", "me", "--domainname", "in.example")
        assert told.split() == ["in.example", "me.in.example"]


class TestNotes:
    def test_labels_from_a_file_and_annotations(self, lading: Story, tmp_path: Path) -> None:
        (tmp_path / "labels").write_text("# none\na=file\nb=file\n")
        options = ("--label-file", f"{tmp_path}/labels", "-l", "b=flag", "--annotation", "x=y")
        lading("create", "--name", "noted", *options, "busybox")
        assert lading.field("noted", "{{json .Config.Labels}}") == '{"a":"file","b":"flag"}'
        assert lading.field("noted", "{{json .HostConfig.Annotations}}") == '{"x":"y"}'

    def test_a_runtime_is_chosen_by_name(self, lading: Story) -> None:
        runtime = lading.out("info", "-f", "{{.DefaultRuntime}}")
        assert lading.shell("echo runs", "--runtime", runtime) == "runs"
        told = lading("run", "--runtime", "nope", "busybox", check=125).stderr
        assert "invalid runtime name: nope" in told

    def test_an_image_for_another_platform_is_not_taken(self, lading: Story) -> None:
        own = lading.out("image", "inspect", "-f", "{{.Os}}/{{.Architecture}}", "busybox")
        assert lading.shell("echo ours", "--platform", own) == "ours"
        other = ("run", "--platform", "linux/s390x", "--pull", "never", "busybox")
        assert "does not match the specified platform" in lading(*other, check=125).stderr


def test_descriptors_of_the_client_do_not_reach_the_container(
    lading: Story, tmp_path: Path
) -> None:
    with (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)
        script = "ls -l /proc/self/fd /proc/1/fd 2>/dev/null"
        told = lading.shell(script, pass_fds=(secret.fileno(),))
    numbers = {int(n) for n in re.findall(r" (\d+)(?: ->|$)", told, re.MULTILINE)}
    assert numbers <= {0, 1, 2, 3}
    assert "secret" not in told


def test_many_run_at_once(lading: Story) -> None:
    commands = [lading.beside("run", "--rm", "busybox", "echo", str(number)) for number in range(6)]
    processes: list[subprocess.Popen[str]] = [command.__enter__() for command in commands]
    try:
        told = [process.communicate(timeout=PATIENCE)[0] for process in processes]
    finally:
        for command in commands:
            command.__exit__(None, None, None)
    assert told == [f"{number}\n" for number in range(6)]
    assert lading.out("ps", "-aq") == ""
