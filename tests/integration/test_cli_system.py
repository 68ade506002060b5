"""The engine as a whole by lading's own command: volumes, events, space, and what it is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path

from cli_story import PATIENCE, PROGRAM, Story, eventually
from image_box import layer


class TestVolumes:
    def test_made_listed_looked_at_and_removed(self, lading: Story) -> None:
        assert lading.out("volume", "create", "--label", "a=b", "site") == "site"
        nameless = lading.out("volume", "create")
        assert re.fullmatch("[0-9a-f]{64}", nameless)
        assert set(lading.out("volume", "ls", "-q").split()) == {"site", nameless}
        shown = json.loads(lading.out("volume", "inspect", "site"))[0]
        assert (shown["Name"], shown["Labels"], shown["Driver"]) == ("site", {"a": "b"}, "local")
        assert Path(shown["Mountpoint"]).is_dir()
        assert lading.out("volume", "inspect", "-f", "{{.Name}}", "site") == "site"
        assert lading.out("volume", "rm", "site", nameless).split() == ["site", nameless]
        assert not Path(shown["Mountpoint"]).exists()
        assert "no such volume" in lading("volume", "inspect", "site", check=1).stderr
        assert "no such volume" in lading("volume", "rm", "site", check=1).stderr
        lading("volume", "rm", "-f", "site")

    def test_one_in_use_stays_and_says_by_whom(self, lading: Story) -> None:
        container = lading.out("create", "-v", "site:/data", "busybox")
        told = lading("volume", "rm", "site", check=1).stderr
        assert "volume is in use" in told and container in told
        lading("rm", container)
        lading("volume", "rm", "site")

    def test_filters_and_formats(self, lading: Story) -> None:
        lading("volume", "create", "--label", "kind=new", "first")
        lading("create", "-v", "second:/data", "busybox")

        def found(each: str) -> list[str]:
            return lading.out("volume", "ls", "-q", "--filter", each).split()

        assert found("name=fir") == found("label=kind=new") == found("dangling=true") == ["first"]
        assert found("dangling=false") == ["second"]
        assert found("driver=local") == ["first", "second"]
        assert lading.out("volume", "ls").splitlines()[0].split() == ["DRIVER", "VOLUME", "NAME"]
        row = json.loads(lading.out("volume", "ls", "--format", "json", "-f", "name=first"))
        assert row["Name"] == "first" and row["Labels"] == "kind=new"
        assert lading.out(
            "volume", "ls", "--format", "{{.Name}}/{{.Driver}}", "-f", "name=sec"
        ) == ("second/local")

    def test_prune_takes_the_anonymous_then_all_that_nobody_uses(self, lading: Story) -> None:
        nameless = lading.out("volume", "create")
        lading("volume", "create", "named")
        lading("create", "-v", "used:/data", "busybox")
        told = lading.out("volume", "prune", "-f")
        assert nameless in told and "Total reclaimed space: 0B" in told
        assert lading.out("volume", "ls", "-q").split() == ["named", "used"]
        lading("volume", "prune", "-a", "-f")
        assert lading.out("volume", "ls", "-q").split() == ["used"]

    def test_what_cannot_be_is_refused(self, lading: Story) -> None:
        assert "nope" in lading("volume", "create", "-d", "nope", "x1", check=1).stderr
        assert "invalid" in lading("volume", "create", "../x", check=1).stderr
        told = lading("volume", "create", "-o", "type=nfs", "x1", check=1).stderr
        assert "volume option 'type' is not supported" in told
        assert lading.out("volume", "ls", "-q") == ""


class TestEvents:
    def test_what_happened_is_told_and_chosen(self, lading: Story) -> None:
        since = f"{time.time():.6f}"
        lading("run", "--rm", "--name", "told", "-l", "a=b", "-v", "box:/data", "busybox", "true")
        eventually(lambda: lading.out("ps", "-aq") == "")
        until = f"{time.time():.6f}"

        def events(*words: str) -> list[str]:
            return lading.out("events", "--since", since, "--until", until, *words).splitlines()

        form = ("--format", "{{.Type}} {{.Action}}")
        seen = events(*form, "--filter", "type=container")
        order = ["create", "start", "die", "destroy"]
        assert [e.split()[1] for e in seen if e.split()[1] in order] == order
        assert "volume create" in events(*form)
        assert events(*form, "-f", "event=die", "-f", "container=told") == ["container die"]
        assert events("-f", "label=a=c") == []
        died = json.loads(events("--format", "json", "-f", "event=die")[0])
        assert died["Actor"]["Attributes"]["exitCode"] == "0"
        line = r"\d{4}-\d\d-\d\dT[\d:.]+\S* container die [0-9a-f]{64} \(.*exitCode=0.*\)"
        assert re.fullmatch(line, events("-f", "event=die")[0])

    def test_they_come_as_they_happen(self, lading: Story) -> None:
        now = f"{time.time():.6f}"
        form = "{{.Action}} {{.Actor.ID}}"
        with lading.beside("events", "--since", now, "--format", form) as watching:
            assert watching.stdout
            lading("volume", "create", "fresh")
            assert watching.stdout.readline() == "create fresh\n"
            lading("volume", "rm", "fresh")
            assert watching.stdout.readline() == "destroy fresh\n"
            watching.terminate()
            assert watching.wait(PATIENCE) != 0


class TestSpace:
    def test_df_counts_every_kind(self, lading: Story) -> None:
        script = "head -c 100000 /dev/zero | tee /file >/data/file"
        lading("run", "--name", "fat", "-v", "box:/data", "busybox", "sh", "-c", script)
        lading("import", "-", input=layer().decode())
        form = ("--format", "{{.Type}}|{{.TotalCount}}|{{.Active}}|{{.Size}}|{{.Reclaimable}}")
        rows = {
            line.split("|")[0]: line.split("|")[1:]
            for line in lading.out("system", "df", *form).splitlines()
        }
        assert rows["Images"][:2] == ["2", "1"]
        assert rows["Containers"][:2] == ["1", "0"] and re.match(r"1\d\dkB", rows["Containers"][2])
        assert rows["Local Volumes"][:2] == ["1", "1"] and rows["Local Volumes"][2] == "100kB"
        whole = lading.out("system", "df", "-v")
        assert "fat" in whole and "box" in whole and "<none>" in whole

    def test_prune_takes_what_nobody_needs(self, lading: Story) -> None:
        old = lading.out("create", "--name", "old", "-v", "/data", "busybox")
        lading("run", "-d", "--name", "runs", "busybox", "sleep", "100")
        loose = lading.out("import", "-", input=layer().decode())
        lading("volume", "create", "named")
        done = lading("system", "prune", input="n\n")
        assert "WARNING! This will remove" in done.stdout + done.stderr
        assert old in lading.out("ps", "-aq", "--no-trunc")
        told = lading.out("system", "prune", "-f", "--volumes")
        assert old in told and loose in told and "Total reclaimed space" in told
        assert lading.out("ps", "-a", "--format", "{{.Names}}") == "runs"
        assert lading.out("volume", "ls", "-q") == "named"
        lading("tag", "busybox", "kept")
        lading("import", "-", "spare", input=layer().decode())
        lading("system", "prune", "-a", "-f")
        assert lading.out("images", "-q", "spare") == ""
        assert lading.out("images", "-q", "busybox")


class TestAbout:
    def test_info(self, lading: Story) -> None:
        lading("run", "-d", "busybox", "sleep", "100")
        told = lading.out("info")
        assert re.search(r"Containers: 1\n\s+Running: 1", told) and "Storage Driver: " in told
        shown = json.loads(lading.out("system", "info", "-f", "json"))
        assert shown["DockerRootDir"] == str(lading.daemon.settings.root)
        assert lading.out("info", "--format", "{{.ContainersRunning}} {{.Images}}") == "1 1"

    def test_version(self, lading: Story) -> None:
        shown = json.loads(lading.out("version", "--format", "json"))
        version = shown["Server"]["Version"]
        assert shown["Client"]["Version"] == version
        assert f"Version:           {version}" in lading.out("version")
        assert lading.out("--version") == f"lading version {version}"

    def test_doctor(self, lading: Story) -> None:
        told = lading.out("doctor")
        assert re.search(r"^ok +daemon ", told, re.MULTILINE)
        assert told.endswith("This host can run lading.")
        checks = json.loads(lading.out("doctor", "-f", "json"))["Checks"]
        assert {"kernel", "cgroups", "conmon", "runtime", "nftables", "space"} <= {
            check["Name"] for check in checks
        }

    def test_completion_is_there_for_three_shells(self, lading: Story) -> None:
        for shell in ("bash", "zsh", "fish"):
            assert f"{shell} completion for lading" in lading.out("completion", shell)
        assert "no such shell: 'nope'" in lading("completion", "nope", check=1).stderr

    def test_completion_knows_what_is_there(self, lading: Story) -> None:
        lading("run", "-d", "--name", "completed", "busybox", "sleep", "100")
        script = """
        source <("$0" completion bash)
        COMP_WORDS=(lading stop comp) COMP_CWORD=2 COMP_LINE="lading stop comp" COMP_POINT=16
        $(complete -p lading | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        echo "${COMPREPLY[@]}"
        """
        environment = {
            **lading.environment,
            "PATH": f"{Path(PROGRAM).parent}:{os.environ['PATH']}",
        }
        done = subprocess.run(
            ["bash", "-c", script, PROGRAM],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.stdout.split() == ["completed"], done

    def test_a_host_without_a_daemon_is_told_and_none_is_started(
        self, lading: Story, tmp_path: Path
    ) -> None:
        nowhere = f"unix://{tmp_path}/none.sock"
        done = subprocess.run(
            [PROGRAM, "--host", nowhere, "ps"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1 and nowhere in done.stderr
        assert list(tmp_path.iterdir()) == []

    def test_help_and_unknown_words(self, lading: Story) -> None:
        assert "Usage:  lading run" in lading.out("run", "--help")
        assert "Did you mean 'lading ps'" in lading("pss", check=1).stderr
        assert "not supported yet" in lading("swarm", "init", check=1).stderr
