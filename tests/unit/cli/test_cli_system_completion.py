"""What completion offers, the scripts of the shells, and the page of all commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from canned_engine import CannedEngine
from lading.cli import catalog
from lading.cli.completing import FILES, host_of, offers
from lading.cli.manual import page

Lading = Callable[..., Any]
DOCS = Path(__file__).parents[3] / "docs"
THINGS = {"images": ["busybox:latest", "web:1"], "containers": ["db", "web"], "running": ["web"]}


def look(kind: str) -> Iterable[str]:
    return THINGS.get(kind, ())


def offered(*words: str) -> list[str]:
    return [offer.partition("\t")[0] for offer in offers(words, look)]


def test_commands_groups_and_their_words() -> None:
    assert offered("im") == ["image", "images", "import"]
    assert {"run", "volume", "doctor"} <= set(offered(""))
    assert offered("volume", "") == ["create", "inspect", "list", "ls", "prune", "remove", "rm"]
    assert offered("--host", "unix:///x", "system", "d") == ["df", "dial-stdio"]


def test_names_of_things_where_operands_are_things() -> None:
    assert offered("rmi", "") == ["busybox:latest", "web:1"]
    assert offered("image", "rm", "bus") == ["busybox:latest"]
    assert offered("start", "d") == ["db"]
    assert offered("run", "-it", "--name", "new", "b") == ["busybox:latest"]
    assert offered("tag", "a", "b", "") == []  # it takes no third


def test_flags_but_not_those_that_are_refused() -> None:
    found = offered("run", "--")
    assert "--volume" in found and "--help" in found
    assert "--gpus" not in found and "--net" not in found
    assert offered("rmi", "--", "-") == []  # after -- everything is an operand


def test_values_of_flags() -> None:
    assert offered("run", "--pull", "") == ["always", "missing", "never"]
    assert offered("run", "--pull=m") == ["--pull=missing"]
    assert offered("load", "-i", "") == [FILES]
    assert offered("load", "-qi", "") == [FILES]
    assert offered("daemon", "--root=/sr") == [FILES]
    assert offered("image", "bootstrap", "") == ["busybox", "debian"]


def test_the_programs_own_words_are_not_ours() -> None:
    assert offered("run", "busybox", "-") == [FILES]
    assert offered("run", "busybox", "ls", "") == [FILES]


def test_nothing_is_offered_for_what_is_no_command() -> None:
    assert offered("nonsense", "") == []
    assert offered("buildx", "") == []


def test_the_engine_asked_is_the_one_on_the_line() -> None:
    assert host_of(["-H", "unix:///x", "ps"]) == "unix:///x"
    assert host_of(["--debug", "--host=unix:///x", "ps"]) == "unix:///x"
    assert host_of(["run", "-H", "unix:///x"]) == ""
    assert host_of([]) == ""


def test_names_come_from_the_engine(engine: CannedEngine, lading: Lading) -> None:
    engine.answers |= {
        "GET /volumes": {"Volumes": [{"Name": "site"}]},
        "GET /containers/json": [{"Names": ["/web"]}],
        "GET /images/json": [{"RepoTags": None}, {"RepoTags": ["a:1"]}],
    }
    assert lading("completion", "offer", "--", "volume", "rm", "").out == "site\n"
    assert lading("completion", "offer", "--", "stop", "").out == "web\n"
    assert lading("completion", "offer", "--", "rmi", "").out == "a:1\n"


def test_an_engine_that_does_not_answer_is_no_reason_to_complain(
    lading: Lading, tmp_path: Path
) -> None:
    ended = lading("completion", "offer", "--", "-H", f"unix://{tmp_path}/none", "rmi", "")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell: str, lading: Lading) -> None:
    ended = lading("completion", shell)
    assert ended.code == 0 and "completion offer --" in ended.out


def test_other_shells_have_none(lading: Lading) -> None:
    assert lading("completion", "tcsh").code == 1


def test_the_page_of_commands_is_up_to_date() -> None:
    assert (DOCS / "commands.md").read_text() == page(), "run scripts/commands"


@pytest.mark.parametrize("name", catalog.COMMANDS)
def test_every_command_has_help_and_an_example(name: str, lading: Lading) -> None:
    command = catalog.load(name)
    shown = lading(*name.split(), "--help").out
    assert all(f"  {line}" in shown for line in command.example.splitlines())
    flags = [flag.name for flag in command.flags]
    shorts = [flag.short for flag in command.flags if flag.short]
    assert len(set(flags)) == len(flags) and len(set(shorts)) == len(shorts)
