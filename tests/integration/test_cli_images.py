"""Images by lading's own command: made, named, listed, found and removed."""

from __future__ import annotations

import itertools
import json
import re
import time
from pathlib import Path

import pytest

from cli_story import Story, eventually
from image_box import Layout, config, docker_archive, layer, sha256, tar_of

LAYER = layer()


@pytest.fixture
def base(lading: Story) -> str:
    """The ID of busybox, whole."""
    return lading.out("images", "-q", "--no-trunc", "busybox")


class TestBootstrap:
    def test_busybox_is_there_in_under_a_second(self, lading: Story) -> None:
        took = []
        for _ in range(3):  # the machine may be busy once
            lading("rmi", "busybox")
            began = time.monotonic()
            lading("image", "bootstrap", "busybox")
            took.append(time.monotonic() - began)
        assert min(took) < 1
        assert lading.shell("echo it runs") == "it runs"


class TestImport:
    def test_a_file_becomes_an_image_with_what_was_changed(
        self, lading: Story, tmp_path: Path
    ) -> None:
        lading("create", "--name", "source", "busybox", "true")
        lading("export", "-o", str(tmp_path / "fs.tar"), "source")
        image = lading.out(
            *("import", "--change", 'CMD ["sh", "-c", "echo $WHO at $PWD"]', "-c", "WORKDIR /tmp"),
            *("--change", "ENV WHO=me", "--message", "by hand", str(tmp_path / "fs.tar"), "flat:1"),
        )
        assert re.fullmatch("sha256:[0-9a-f]{64}", image)
        assert lading.out("run", "--rm", "flat:1") == "me at /tmp"
        assert lading.out("history", "--format", "{{.Comment}}", "flat:1") == "by hand"

    def test_standard_input_becomes_an_image(self, lading: Story) -> None:
        image = lading.out("import", "-", "piped", input=LAYER.decode())
        assert lading.out("images", "--no-trunc", "-q", "piped:latest") == image

    def test_a_name_is_not_needed(self, lading: Story) -> None:
        image = lading.out("import", "-", input=LAYER.decode())
        assert image in lading.out("images", "--no-trunc", "-q", "--filter", "dangling=true")

    def test_a_file_that_is_not_there_is_named(self, lading: Story, tmp_path: Path) -> None:
        told = lading("import", str(tmp_path / "none.tar"), check=1).stderr
        assert "none.tar" in told and "no such file" in told.lower()

    def test_a_change_that_is_none_is_refused(self, lading: Story) -> None:
        told = lading("import", "-c", "RUN true", "-", input=LAYER.decode(), check=1).stderr
        assert "run is not a valid change command" in told.lower()


class TestTagAndRemove:
    def test_a_tag_is_one_more_name(self, lading: Story, base: str) -> None:
        lading("tag", "busybox", "other/name:v1")
        lading("tag", base[7:19], "short")
        listed = lading.out("images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}")
        assert f"other/name:v1 {base}" in listed and f"short:latest {base}" in listed
        assert lading.out("rmi", "other/name:v1") == "Untagged: other/name:v1"

    def test_a_bad_name_is_refused(self, lading: Story) -> None:
        assert "invalid reference format" in lading("tag", "busybox", "Big:Name", check=1).stderr
        assert "No such image: nope:latest" in lading("tag", "nope", "other", check=1).stderr

    def test_the_last_name_takes_the_image_with_it(self, lading: Story) -> None:
        image = lading.out("import", "-", "one:1", input=LAYER.decode())
        told = lading.out("rmi", "one:1").splitlines()
        assert told[0] == "Untagged: one:1"
        assert told[1] == f"Deleted: {image}"
        assert "No such image" in lading("image", "inspect", image, check=1).stderr

    def test_an_image_in_use_says_by_whom(self, lading: Story, base: str) -> None:
        container = lading.out(
            *("create", "--name", "user", "busybox", "echo", "it has its layers still")
        )
        told = lading("rmi", "busybox", check=1).stderr
        assert "conflict: unable to remove repository reference" in told
        assert container[:12] in told and base[7:19] in told
        assert lading.out("rmi", "-f", "busybox").startswith("Untagged: busybox:latest\nDeleted: ")
        assert lading.out("start", "-a", "user") == "it has its layers still"

    def test_a_running_container_keeps_its_image_even_by_force(
        self, lading: Story, base: str
    ) -> None:
        container = lading.out("run", "-d", "busybox", "sleep", "100")
        told = lading("rmi", "-f", base, check=1).stderr
        assert "cannot be forced" in told and container[:12] in told

    def test_an_image_with_several_names_is_not_removed_by_id(
        self, lading: Story, base: str
    ) -> None:
        lading("tag", "busybox", "twice")
        told = lading("rmi", base[:19], check=1).stderr
        assert "must be forced" in told and "referenced in multiple repositories" in told

    def test_removal_goes_on_after_one_that_is_not_there(self, lading: Story) -> None:
        lading("tag", "busybox", "spare")
        done = lading("image", "rm", "nope", "spare", check=1)
        assert "No such image: nope:latest" in done.stderr
        assert "Untagged: spare:latest" in done.stdout
        lading("rmi", "-f", "nope")

    def test_layers_that_are_shared_stay(self, lading: Story) -> None:
        lading("create", "--name", "source", "busybox", "true")
        lading("commit", "source", "child")
        lading("rm", "source")
        lading("rmi", "child")
        assert lading.shell("echo still") == "still"


class TestLists:
    def test_filters(self, lading: Story, base: str) -> None:
        child = lading.out("import", "-c", "LABEL a=b", "-", "child:1", input=LAYER.decode())
        loose = lading.out("import", "-", input=layer("loose").decode())

        def found(*filters: str) -> set[str]:
            words = [word for each in filters for word in ("--filter", each)]
            return set(lading.out("images", "-q", "--no-trunc", *words).split())

        assert found("dangling=true") == {loose}
        assert found("dangling=false") == {base, child}
        assert found("label=a") == found("label=a=b") == {child}
        assert found("label=a=c") == set()
        assert found("reference=chi*") == {child}
        assert found("reference=busybox", "reference=child:1") == {base, child}
        assert base in found("before=child:1") and child not in found("before=child:1")
        assert {child, loose} <= found("since=busybox") and base not in found("since=busybox")
        assert "invalid filter 'nope'" in lading("images", "-f", "nope=1", check=1).stderr

    def test_columns(self, lading: Story, base: str) -> None:
        head, row = lading.out("images").splitlines()
        assert head.split("  ")[0] == "REPOSITORY" and "CREATED" in head
        assert row.split()[:3] == ["busybox", "latest", base[7:19]]
        assert "DIGEST" in lading.out("images", "--digests")
        assert base in lading.out("images", "--no-trunc")
        assert lading.out("image", "ls", "-q") == base[7:19]

    def test_formats(self, lading: Story, base: str) -> None:
        row = json.loads(lading.out("images", "--format", "json"))
        assert (row["Repository"], row["Tag"], row["ID"]) == ("busybox", "latest", base[7:19])
        assert lading.out("images", "--format", "{{.Repository}}={{.ID}}|{{upper .Tag}}") == (
            f"busybox={base[7:19]}|LATEST"
        )
        table = lading.out("images", "--format", "table {{.Tag}}\t{{.Repository}}").splitlines()
        assert [line.split() for line in table] == [["TAG", "REPOSITORY"], ["latest", "busybox"]]
        assert "nope" in lading("images", "--format", "{{.Nope}}", check=1).stderr.lower()

    def test_a_repository_or_a_tag_is_listed_alone(self, lading: Story) -> None:
        for name in ("one:1", "one:2", "two:1"):
            lading("tag", "busybox", name)
        form = ("--format", "{{.Repository}}:{{.Tag}}")
        assert lading.out("images", *form, "one").split() == ["one:1", "one:2"]
        assert lading.out("images", *form, "one:2") == "one:2"


class TestHistory:
    RAW = config(
        [LAYER, layer("second")],
        history=[
            {"created": "2026-01-01T00:00:00Z", "created_by": "ADD one"},
            {"created": "2026-01-02T00:00:00Z", "created_by": "ENV a=b", "empty_layer": True},
            {"created": "2026-01-03T00:00:00Z", "created_by": "RUN " + "x" * 80, "comment": "long"},
        ],
    )

    @pytest.fixture
    def image(self, lading: Story) -> str:
        archive = docker_archive([LAYER, layer("second")], ["past:1"], raw=self.RAW)
        lading.raw("load", input=tar_of(archive))
        return sha256(self.RAW)

    def test_steps_without_a_layer_are_shown(self, lading: Story, image: str) -> None:
        form = ("--format", "{{.ID}} {{.CreatedBy}} {{.Size}}", "--no-trunc")
        rows = lading.out("history", *form, "past:1").splitlines()
        assert rows[0].startswith(f"{image} RUN xxx")
        assert rows[1] == "<missing> ENV a=b 0B"
        assert rows[2].startswith("<missing> ADD one ") and not rows[2].endswith(" 0B")

    def test_what_is_long_is_cut_unless_asked(self, lading: Story, image: str) -> None:
        assert "x" * 80 not in lading.out("history", "past:1")
        assert "x" * 80 in lading.out("history", "--no-trunc", "past:1")
        assert lading.out("history", "-q", "past:1").split()[0] == image[7:19]
        assert lading.out("history", "-q", "--no-trunc", "past:1").split()[0] == image
        assert "2026-01-03T00:00:00" in lading.out("history", "-H=false", "past:1")


class TestInspect:
    def test_the_parents_and_the_layers_places_are_told(self, lading: Story, base: str) -> None:
        lading("run", "--name", "source", "busybox", "touch", "/changed")
        child = lading.out("commit", "source", "child")
        shown = json.loads(lading.out("image", "inspect", "child"))[0]
        assert (shown["Id"], shown["Parent"]) == (child, base)
        below, own = shown["Lading"]["Layers"]
        assert shown["Lading"]["Parents"] == [below["ChainID"]]
        assert own["ChainID"] != below["ChainID"] == below["DiffID"]
        for place, diff_id in zip(
            shown["Lading"]["Layers"], shown["RootFS"]["Layers"], strict=True
        ):
            assert place["DiffID"] == diff_id
            assert Path(place["Path"]).exists()
            assert place["Size"] > 0

    def test_the_raw_config_is_there(self, lading: Story) -> None:
        lading.raw("load", input=tar_of(docker_archive([LAYER], ["raw:1"])))
        raw = json.loads(lading.out("image", "inspect", "-f", "{{json .Lading.Raw}}", "raw:1"))
        assert raw == json.loads(config([LAYER]))

    def test_templates(self, lading: Story, base: str) -> None:
        assert lading.out("inspect", "--type", "image", "-f", "{{.Id}}", "busybox") == base
        form = "{{range .Config.Env}}{{println .}}{{end}}"
        assert lading.out("image", "inspect", "-f", form, "busybox").startswith("PATH=")
        done = lading("image", "inspect", "busybox", "nope", check=1)
        assert json.loads(done.stdout)[0]["Id"] == base
        assert "No such image: nope" in done.stderr


class TestNames:
    def test_a_digest_names_an_image(self, lading: Story, base: str) -> None:
        manifest = lading.field("busybox", "{{.Lading.Manifest}}")
        for name in (f"busybox@{manifest}", f"busybox:latest@{manifest}"):
            assert lading.out("image", "inspect", "-f", "{{.Id}}", name) == base
            assert lading.out("run", "--rm", name, "echo", "by digest") == "by digest"
        wrong = f"busybox@sha256:{'0' * 64}"
        assert "No such image" in lading("image", "inspect", wrong, check=1).stderr

    def test_an_id_may_be_cut_and_have_its_algorithm(self, lading: Story, base: str) -> None:
        for name in (base, base[:20], base[7:], base[7:13], "docker.io/library/busybox:latest"):
            assert lading.out("image", "inspect", "-f", "{{.Id}}", name) == base

    def test_an_ambiguous_prefix_is_refused(self, lading: Story) -> None:
        first, second = _alike(4)
        for number, raw in enumerate((first, second)):
            archive = docker_archive([LAYER], [f"like:{number}"], raw=raw)
            lading.raw("load", input=tar_of(archive))
        shared = sha256(first)[7:11]
        told = lading("image", "inspect", shared, check=1).stderr
        assert "multiple IDs found with provided prefix" in told
        assert "multiple IDs found" in lading("rmi", shared, check=1).stderr
        for raw in (first, second):
            assert lading.out("image", "inspect", "-f", "{{.Id}}", sha256(raw)[7:40]) == sha256(raw)


def _alike(digits: int) -> tuple[bytes, bytes]:
    """Two configs whose digests begin with the same digits."""
    seen: dict[str, bytes] = {}
    for number in itertools.count():
        raw = config([LAYER], author=f"number {number}")
        start = sha256(raw)[7 : 7 + digits]
        if start in seen:
            return seen[start], raw
        seen[start] = raw
    raise AssertionError


class TestPrune:
    def test_only_what_has_no_name_goes(self, lading: Story, base: str) -> None:
        loose = lading.out("import", "-", input=LAYER.decode())
        told = lading.out("image", "prune", "-f")
        assert f"deleted: {loose}" in told and "Total reclaimed space:" in told
        assert base == lading.out("images", "-q", "--no-trunc")

    def test_all_that_no_container_uses_goes(self, lading: Story, base: str) -> None:
        lading("import", "-", "spare", input=LAYER.decode())
        lading("create", "busybox", "true")
        assert "untagged: spare:latest" in lading.out("image", "prune", "-a", "-f")
        assert lading.out("images", "-q", "--no-trunc") == base

    def test_labels_choose(self, lading: Story) -> None:
        for label in ("keep", "lose"):
            lading("import", "-c", f"LABEL {label}=1", "-", input=layer(label).decode())
        lading("image", "prune", "-f", "--filter", "label=lose")
        assert lading.out("images", "-q", "-f", "label=lose") == ""
        assert lading.out("images", "-q", "-f", "label=keep")

    def test_it_asks_first(self, lading: Story) -> None:
        loose = lading.out("import", "-", input=LAYER.decode())
        done = lading("image", "prune", input="n\n", check=0)
        assert "[y/N]" in done.stdout + done.stderr
        assert loose in lading.out("images", "-q", "--no-trunc")
        lading("image", "prune", input="y\n")
        eventually(lambda: loose not in lading.out("images", "-q", "--no-trunc"))


def test_a_layout_with_several_platforms_gives_this_ones(lading: Story) -> None:
    layout = Layout()
    ours = layout.image([LAYER])
    other = layout.image([layer("other")], raw=config([layer("other")], architecture="s390x"))
    layout.root(ours, "many:1", platform={"os": "linux", "architecture": "amd64"})
    layout.root(other, "other:1", platform={"os": "linux", "architecture": "s390x"})
    told = lading.raw("load", input=layout.tar).decode()
    assert "Loaded image: many:1" in told
