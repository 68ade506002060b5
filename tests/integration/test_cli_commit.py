"""Commits by lading's own command: what the image holds, and what is said it does not."""

from __future__ import annotations

import json
import re
import time

import pytest

from cli_story import Story, eventually


@pytest.fixture
def web(lading: Story) -> str:
    """A running container that has much an image cannot hold."""
    lading(
        *("run", "-d", "--name", "web", "-v", "site:/data", "-p", "127.0.0.1::80", "-m", "64m"),
        *("busybox", "sh", "-c", "echo one >/file; echo inside >/data/file; sleep 100"),
    )
    eventually(lambda: "file" in lading.out("exec", "web", "ls", "/data"))
    return "web"


def test_the_image_holds_the_files_and_its_story(lading: Story, web: str) -> None:
    done = lading("commit", "-a", "Ann <ann@example>", "-m", "a backup", "web", "backup")
    assert re.fullmatch("sha256:[0-9a-f]{64}\n", done.stdout)
    shown = json.loads(lading.out("image", "inspect", "backup"))[0]
    assert (shown["Author"], shown["Comment"]) == ("Ann <ann@example>", "a backup")
    assert "a backup" in lading.out("history", "backup")
    assert lading.out("run", "--rm", "backup", "cat", "/file") == "one"
    assert lading.out("run", "--rm", "backup", "ls", "/data") == ""


def test_what_the_image_does_not_hold_is_listed(lading: Story, web: str) -> None:
    told = lading("commit", "web", "backup").stderr
    assert re.search(r"paused for \d+ ms", told)
    assert "the image does not contain" in told
    assert re.search(r"volume +site +/data +\d+B", told)
    assert "80/tcp" in told and "Memory" in told


def test_strictly_it_is_an_error(lading: Story, web: str) -> None:
    done = lading("commit", "--strict", "web", "backup", check=1)
    assert "would not contain" in done.stderr and "site" in done.stderr
    assert done.stdout == "" and lading.out("images", "-q", "backup") == ""
    lading("create", "--name", "plain", "busybox", "true")
    lading("commit", "--strict", "plain", "backup")


def test_changes_are_applied(lading: Story, web: str) -> None:
    changes = ['CMD ["sh", "-c", "echo $A from $PWD"]', "ENV A=b", "WORKDIR /tmp", "EXPOSE 81/udp"]
    words = [word for change in changes for word in ("--change", change)]
    lading("commit", *words, "-c", "LABEL x=y", "-c", "USER 33", "web", "changed")
    assert lading.out("run", "--rm", "changed") == "b from /tmp"
    assert lading.out("run", "--rm", "changed", "id", "-u") == "33"
    config = json.loads(lading.out("image", "inspect", "-f", "{{json .Config}}", "changed"))
    assert config["Labels"] == {"x": "y"} and "81/udp" in config["ExposedPorts"]


@pytest.mark.parametrize(
    ("flags", "pauses"),
    [((), True), (("-p",), True), (("--pause=false",), False), (("--no-pause",), False)],
)
def test_the_container_stands_still_unless_told_otherwise(
    lading: Story, web: str, flags: tuple[str, ...], pauses: bool
) -> None:
    since = f"{time.time():.6f}"
    told = lading("commit", *flags, "web", "backup").stderr
    assert ("not paused" in told) is not pauses
    form = ("--format", "{{.Action}}")
    seen = lading.out("events", "--since", since, "--until", f"{time.time():.6f}", *form).split()
    assert ("pause" in seen and "unpause" in seen) is pauses
    assert lading.field("web", "{{.State.Status}}") == "running"


def test_a_name_is_not_needed_and_a_bad_one_is_refused(lading: Story, web: str) -> None:
    image = lading.out("commit", "web")
    assert image in lading.out("images", "-q", "--no-trunc", "-f", "dangling=true")
    assert "invalid reference format" in lading("commit", "web", "Bad:Name", check=1).stderr
    assert "No such container: nope" in lading("commit", "nope", "x", check=1).stderr
