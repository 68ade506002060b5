"""Dockerfiles become images: each instruction, its layer, its history, and the cache."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from build_box import BuildBox
from engine_daemon import Daemon
from tarball import Tarball


@pytest.fixture
def box(daemon: Daemon) -> Iterator[BuildBox]:
    box = BuildBox(daemon)
    yield box
    box.clear()
    assert box.leavings() == []


class TestInstructions:
    def test_run_executes_in_the_image_so_far(self, box: BuildBox) -> None:
        built = box.build("FROM busybox\nRUN echo one > /a\nRUN cat /a; echo two >> /a\n", t="made")
        assert "\none\n" in built.text
        assert box.run("made", "cat /a") == "one\ntwo\n"
        assert len(box.layers("made")) == len(box.layers("busybox")) + 2

    def test_settings_reach_the_config_and_make_no_layer(self, box: BuildBox) -> None:
        built = box.build(
            "FROM busybox\nENV A=1 B=$UNSET\nLABEL l=v\nEXPOSE 80\nVOLUME /v\nUSER 5:6\n"
            'STOPSIGNAL SIGINT\nENTRYPOINT ["e"]\nCMD ["c"]\nHEALTHCHECK CMD true\n'
        )
        config = box.inspect(built.image)["Config"]
        assert {"A=1", "B="} <= set(config["Env"])
        assert config["Labels"] == {"l": "v"}
        assert (config["User"], config["StopSignal"]) == ("5:6", "SIGINT")
        assert (config["Entrypoint"], config["Cmd"]) == (["e"], ["c"])
        assert config["ExposedPorts"] == {"80/tcp": {}}
        assert config["Volumes"] == {"/v": {}}
        assert config["Healthcheck"]["Test"] == ["CMD-SHELL", "true"]
        assert box.layers(built.image) == box.layers("busybox")

    def test_history_has_a_line_for_every_instruction(self, box: BuildBox) -> None:
        built = box.build("FROM busybox\nENV A=1\nRUN touch /x\nCMD true\n")
        told = box.history(built.image)[-3:]
        assert told[0] == "ENV A=1"
        assert told[1].startswith("RUN /bin/sh -c touch /x")
        assert told[2] == 'CMD ["/bin/sh" "-c" "true"]'

    def test_run_has_the_environment_the_user_and_the_place(self, box: BuildBox) -> None:
        built = box.build(
            "FROM busybox\nARG X=arg\nENV E=env\nWORKDIR /w/d\nUSER 7:8\n"
            "RUN id -u; id -g; pwd; echo $X $E\n"
        )
        assert "7\n8\n/w/d\narg env\n" in built.text

    def test_workdir_is_made_for_the_user(self, box: BuildBox) -> None:
        built = box.build("FROM busybox\nUSER 7:8\nWORKDIR /made\nWORKDIR here\n")
        assert box.run(built.image, "stat -c '%u:%g %a' /made /made/here") == "7:8 755\n" * 2

    def test_heredocs_are_scripts_and_files(self, box: BuildBox) -> None:
        built = box.build(
            "FROM busybox\nRUN <<E\necho shell > /a\nE\nRUN <<E\n#!/bin/sh\necho $0 > /b\nE\n"
            "COPY <<one <<two /d/\n1\none\n2\ntwo\n"
        )
        assert box.run(built.image, "cat /a /d/one /d/two; cat /b").startswith("shell\n1\n2\n/dev/")

    def test_arguments_come_from_the_request(self, box: BuildBox) -> None:
        text = "ARG BASE=nope\nFROM $BASE\nARG V=0\nRUN echo v=$V\n"
        built = box.build(text, buildargs={"BASE": "busybox", "V": "7", "UNUSED": "1"})
        assert "v=7\n" in built.text
        assert "[Warning] One or more build-args [UNUSED] were not consumed" in built.text

    def test_shell_and_exec_form(self, box: BuildBox) -> None:
        built = box.build(
            'FROM busybox\nRUN ["echo", "$HOME"]\nSHELL ["/bin/sh", "-ec"]\n'
            'RUN echo $0 "$-" "$HOME"\n'
        )
        assert "$HOME\n" in built.text
        assert "/root\n" in built.text

    def test_onbuild_goes_off_in_the_next_image(self, box: BuildBox) -> None:
        box.build("FROM busybox\nONBUILD RUN echo triggered > /t\nONBUILD COPY f /f\n", t="base")
        assert "triggered" not in box.run("base", "ls /")
        built = box.build("FROM base\nRUN cat /t /f\n", {"f": "file\n"})
        assert "triggered\nfile\n" in built.text
        assert not box.inspect(built.image)["Config"].get("OnBuild")

    def test_labels_of_the_request_are_the_images(self, box: BuildBox) -> None:
        built = box.build("FROM busybox\nLABEL a=1\n", labels={"a": "2", "b": "3"})
        assert box.inspect(built.image)["Config"]["Labels"] == {"a": "2", "b": "3"}

    def test_networks_are_as_asked(self, box: BuildBox) -> None:
        count = "ls /sys/class/net | wc -l"
        built = box.build(f"FROM busybox\nRUN {count}\nRUN --network=none {count}\n")
        assert "\n2\n" in built.text
        assert "\n1\n" in built.text
        assert (
            "1\n ---> "
            in box.build(f"FROM busybox\nRUN {count}\n", networkmode="none", nocache=1).text
        )
        refused = box.build("FROM busybox\nRUN --network=host true\n")
        assert "only allowed in a build with --network host" in refused.error

    def test_hosts_are_added(self, box: BuildBox) -> None:
        built = box.build("FROM busybox\nRUN cat /etc/hosts\n", extrahosts="db:10.1.2.3")
        assert "10.1.2.3\tdb" in built.text

    def test_from_scratch_holds_what_was_copied_alone(self, box: BuildBox) -> None:
        built = box.build("FROM scratch\nCOPY f /a/b/\n", {"f": "x"})
        assert len(box.layers(built.image)) == 1
        files = box.client.get(f"/lading/v1/images/{built.image}/rootfs").body
        assert b"a/b/f" in files


class TestStages:
    def test_only_what_the_target_needs_is_built(self, box: BuildBox) -> None:
        text = (
            "FROM busybox AS one\nRUN echo one > /f\nFROM busybox AS unused\nRUN false\n"
            "FROM busybox\nCOPY --from=one /f /g\nFROM one AS later\nRUN echo later\n"
        )
        built = box.build(text, target="2")
        assert box.run(built.image, "cat /g") == "one\n"
        assert "later" not in box.build(text, target="one").text.partition("Step")[2]

    def test_independent_stages_run_at_the_same_time(self, box: BuildBox) -> None:
        text = (
            "FROM busybox AS a\nRUN sleep 1; echo a > /a\n"
            "FROM busybox AS b\nRUN sleep 1; echo b > /b\n"
            "FROM busybox\nCOPY --from=a /a /\nCOPY --from=b /b /\n"
        )
        began = time.monotonic()
        built = box.build(text)
        assert time.monotonic() - began < 1.9
        assert box.run(built.image, "cat /a /b") == "a\nb\n"
        steps = [line for line in built.text.splitlines() if line.startswith("Step")]
        assert [step.split("/")[0] for step in steps] == [f"Step {n}" for n in range(1, 8)]

    def test_a_failing_stage_ends_the_other(self, box: BuildBox) -> None:
        text = (
            "FROM busybox AS a\nRUN sleep 60\nFROM busybox AS b\nRUN sleep 0.2; exit 9\n"
            "FROM busybox\nCOPY --from=a /x /\nCOPY --from=b /y /\n"
        )
        began = time.monotonic()
        assert "returned a non-zero code: 9" in box.build(text).error
        assert time.monotonic() - began < 20

    def test_a_stage_can_stand_on_another_and_copy_from_an_image(self, box: BuildBox) -> None:
        box.build("FROM busybox\nRUN echo img > /i\n", t="img")
        built = box.build(
            "FROM busybox AS a\nENV A=1\nRUN echo a > /a\n"
            "FROM a\nCOPY --from=img /i /i\nRUN cat /a /i; echo $A\n"
        )
        assert "a\nimg\n1\n" in built.text

    def test_an_entry_point_keeps_the_command_of_its_file_alone(self, box: BuildBox) -> None:
        box.build('FROM busybox\nCMD ["of the base"]\n', t="base")
        built = box.build('FROM base\nENTRYPOINT ["e"]\n')
        assert not box.inspect(built.image)["Config"].get("Cmd")
        built = box.build('FROM busybox AS a\nCMD ["c"]\nFROM a\nENTRYPOINT ["e"]\n')
        assert box.inspect(built.image)["Config"]["Cmd"] == ["c"]


class TestCache:
    TEXT = "FROM busybox\nENV A=1\nCOPY f /f\nRUN cat /f > /g\nCMD true\n"

    def test_the_same_again_is_the_same_image(self, box: BuildBox) -> None:
        first = box.build(self.TEXT, {"f": "x"})
        again = box.build(self.TEXT, {"f": "x"})
        assert (again.hits, again.image) == (4, first.image)

    def test_times_and_names_do_not_matter_but_content_does(self, box: BuildBox) -> None:
        box.build(self.TEXT, Tarball().file("f", b"x", mtime="1"))
        assert box.build(self.TEXT, Tarball().file("f", b"x", mtime="999")).hits == 4
        assert box.build(self.TEXT, Tarball().file("f", b"y", mtime="1")).hits == 1

    def test_modes_matter(self, box: BuildBox) -> None:
        box.build(self.TEXT, Tarball().file("f", b"x", 0o644))
        changed = box.build(self.TEXT, Tarball().file("f", b"x", 0o755))
        assert changed.hits == 1
        assert "755" in box.run(changed.image, "stat -c %a /f")

    def test_an_image_that_its_name_moved_from_is_another_base(self, box: BuildBox) -> None:
        """HOSTILE 68: the name of a base says nothing."""
        box.build("FROM busybox\nRUN echo old > /v\n", t="base")
        text = "FROM base\nRUN cat /v > /w\n"
        box.build(text)
        box.build("FROM busybox\nRUN echo new > /v\n", t="base")
        built = box.build(text)
        assert built.hits == 0
        assert box.run(built.image, "cat /w") == "new\n"

    def test_settings_before_a_command_are_in_its_key(self, box: BuildBox) -> None:
        """HOSTILE 68: HEALTHCHECK and ONBUILD of the base too."""
        for line in (
            "",
            "HEALTHCHECK CMD true\n",
            "ONBUILD RUN true\n",
            'SHELL ["/bin/sh", "-c"]\n',
        ):
            assert box.build(f"FROM busybox\n{line}RUN touch /x\n").hits == 0

    def test_scratch_with_other_platforms_or_files_is_another(self, box: BuildBox) -> None:
        first = box.build("FROM scratch\nCOPY a /x\n", {"a": "1"})
        other = box.build("FROM scratch\nCOPY a /x\n", {"a": "2"})
        assert other.hits == 0
        assert first.image != other.image

    def test_what_a_command_sees_of_the_context_is_in_its_key(self, box: BuildBox) -> None:
        """HOSTILE 68: mounted bytes as well as copied ones."""
        text = "FROM busybox\nRUN --mount=type=bind,source=f,target=/m cat /m > /got\n"
        box.build(text, {"f": "one"})
        assert box.build(text, {"f": "one", "other": "ignored"}).hits == 1
        changed = box.build(text, {"f": "two"})
        assert changed.hits == 0
        assert box.run(changed.image, "cat /got") == "two"

    def test_copying_the_same_files_from_a_stage_that_was_built_anew_hits(
        self, box: BuildBox
    ) -> None:
        text = (
            "FROM busybox AS a\nARG N\nRUN echo $N > /n; echo same > /f; touch -d @1 /f\n"
            "FROM busybox\nCOPY --from=a /f /f\nRUN cat /proc/sys/kernel/random/uuid > /u\n"
        )
        first = box.build(text, buildargs={"N": "1"})
        again = box.build(text, buildargs={"N": "2"})
        assert again.hits == 3  # ARG, COPY, and the command after it
        assert again.image == first.image

    def test_nocache_does_it_all_again(self, box: BuildBox) -> None:
        box.build("FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /u\n", t="one")
        again = box.build(
            "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /u\n", t="two", nocache=1
        )
        assert again.hits == 0
        assert box.run("one", "cat /u") != box.run("two", "cat /u")

    def test_an_entry_whose_layer_is_gone_is_done_again(self, box: BuildBox) -> None:
        built = box.build(self.TEXT, {"f": "x"}, t="gone")
        box.client.delete("/images/gone", force=1)
        box.prune()
        assert box.cache() == []
        again = box.build(self.TEXT, {"f": "x"})
        assert again.hits == 0
        assert box.layers(again.image)[0] == box.layers("busybox")[0]
        assert built.image != again.image

    def test_layers_in_the_cache_outlive_their_image(self, box: BuildBox) -> None:
        built = box.build(self.TEXT, {"f": "x"}, t="gone")
        box.client.delete("/images/gone", force=1)
        again = box.build(self.TEXT, {"f": "x"})
        assert (again.hits, again.image) == (4, built.image)

    def test_df_tells_of_it_and_prune_frees_what_no_image_shares(self, box: BuildBox) -> None:
        box.build("FROM busybox\nRUN echo kept > /k\n", t="kept")
        box.build("FROM busybox\nRUN echo gone > /g\n", t="gone")
        box.client.delete("/images/gone", force=1)
        assert [row["Shared"] for row in box.cache()].count(True) == 1
        answer = box.client.post("/build/prune").json()
        assert answer["SpaceReclaimed"] > 0
        assert [row["Shared"] for row in box.cache()] == [True]
        assert box.run("kept", "cat /k") == "kept\n"


class TestFailure:
    def test_a_failing_command_is_told_with_its_code_and_a_way_to_look_around(
        self, box: BuildBox
    ) -> None:
        built = box.build(
            "FROM busybox\nRUN echo before > /b\nRUN echo last words; exit 3\n", t="no"
        )
        assert built.error == (
            "The command '/bin/sh -c echo last words; exit 3' returned a non-zero code: 3"
        )
        assert built.code == 3
        assert "last words\n" in built.text
        assert "Dockerfile:3: RUN echo last words; exit 3" in built.text
        (line,) = [each for each in built.text.splitlines() if "lading run --rm -it" in each]
        assert box.run(line.split()[-1], "cat /b") == "before\n"
        assert all("no:latest" not in (each["RepoTags"] or ()) for each in box.images())

    def test_the_next_build_goes_on_where_it_failed(self, box: BuildBox) -> None:
        before = "FROM busybox\nRUN echo slow > /s\n"
        box.build(before + "RUN false\n")
        assert box.build(before + "RUN true\n").hits == 1

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("FROM busybox\nFRM x\n", "Dockerfile:2: unknown instruction: FRM"),
            ("FROM localhost:1/no:no\nRUN true\n", "Dockerfile:1: localhost:1/no:no: cannot reach"),
            ("FROM busybox\nCOPY missing /\n", "missing"),
            ("FROM busybox\nRUN --mount=type=ssh true\n", "ssh is not supported"),
            ('FROM busybox\nRUN ["/nope"]\n', "no such file or directory"),
            ("FROM busybox\nCOPY --chown=nobody-such f /\n", "nobody-such"),
            ("FROM busybox\nCOPY --chmod=9z f /\n", "chmod"),
            ("FROM busybox\nCOPY f f /x\n", "must be a directory and end with a /"),
            ("FROM busybox\nCOPY d /etc/passwd\n", "cannot copy to non-directory: /etc/passwd"),
        ],
    )
    def test_errors_say_what_is_wrong(self, box: BuildBox, text: str, told: str) -> None:
        assert told in box.build(text, {"f": "x", "d/f": "y"}).error

    def test_no_dockerfile_is_told_as_docker_does(self, box: BuildBox) -> None:
        assert "failed to read dockerfile: open Dockerfile" in box.build("", {"f": "x"}).error
        told = box.build("FROM busybox\n", named="other/Dockerfile").error
        assert "open other/Dockerfile: no such file" in told
