"""Flags and operands are read by the rules of Docker's command line."""

from __future__ import annotations

import re
import shlex

import pytest

from canned_engine import CannedEngine
from command_line import Lading
from lading.cli import catalog
from lading.cli.catalog import COMMANDS, GROUPS
from lading.cli.command import ANY, Command
from lading.cli.faults import Misuse
from lading.cli.flags import LIST, NUMBER, SWITCH, TEXT, Flag, Help, parse

FLAGS = (
    Flag("all", SWITCH, "", short="a"),
    Flag("interactive", SWITCH, "", short="i"),
    Flag("name", TEXT, "", short="n"),
    Flag("count", NUMBER, "", default=7),
    Flag("env", LIST, "", short="e"),
    Flag("environment", LIST, "", same="env", hidden=True),
    Flag("new", TEXT, "", short="N", refused=True),
    Flag("on", SWITCH, "", default=True),
)


@pytest.mark.parametrize(
    "words",
    [["--name", "x"], ["--name=x"], ["-n", "x"], ["-nx"], ["-n=x"], ["-ain", "x"], ["-ainx"]],
    ids=" ".join,
)
def test_a_value_may_be_written_in_many_ways(words: list[str]) -> None:
    assert parse(FLAGS, words).text("name") == "x"


@pytest.mark.parametrize(
    ("words", "on"),
    [(["-a"], True), (["-ia"], True), (["--all"], True), (["--all=0"], False), ([], False),
     (["-a=false"], False), (["--all=T"], True), (["--all", "--all=false"], False)],
)  # fmt: skip
def test_a_switch_is_on_or_off(words: list[str], on: bool) -> None:
    assert parse(FLAGS, words).on("all") is on


def test_a_switch_takes_no_word_of_its_own() -> None:
    assert parse(FLAGS, ["--all", "false"]).operands == ["false"]


def test_defaults_count_until_something_is_given() -> None:
    arguments = parse(FLAGS, [])
    assert (arguments.number("count"), arguments.on("on"), arguments.text("name")) == (7, True, "")
    assert not arguments.given("count")
    assert parse(FLAGS, ["--count", "-3", "--on=false"]).number("count") == -3


def test_a_list_gathers_under_either_name() -> None:
    assert parse(FLAGS, ["-e", "A=1", "--environment=B", "-eC"]).many("env") == ["A=1", "B", "C"]


def test_the_last_value_wins() -> None:
    assert parse(FLAGS, ["-nx", "--name", "y"]).text("name") == "y"


def test_a_flag_takes_the_next_word_whatever_it_looks_like() -> None:
    assert parse(FLAGS, ["--name", "--all"]).text("name") == "--all"


def test_flags_may_stand_between_operands() -> None:
    arguments = parse(FLAGS, ["one", "-a", "two", "-"])
    assert arguments.on("all") and arguments.operands == ["one", "two", "-"]


def test_behind_the_first_operand_all_belongs_to_the_container() -> None:
    arguments = parse(FLAGS, ["-a", "image", "-n", "--all"], interspersed=False)
    assert arguments.operands == ["image", "-n", "--all"]
    assert not arguments.given("name")


@pytest.mark.parametrize("interspersed", [True, False])
def test_two_dashes_end_the_flags(interspersed: bool) -> None:
    arguments = parse(FLAGS, ["--", "-a", "--"], interspersed=interspersed)
    assert arguments.operands == ["-a", "--"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--nam", "x"], "unknown flag: --nam"),
        (["-x"], "unknown shorthand flag: 'x' in -x"),
        (["-axi"], "unknown shorthand flag: 'x' in -axi"),
        (["--name"], "flag needs an argument: --name"),
        (["-an"], "flag needs an argument: 'n' in -an"),
        (["---name"], "bad flag syntax: ---name"),
        (["--=x"], "bad flag syntax: --=x"),
        (["--new", "x"], "--new is not supported yet"),
        (["-Nx"], "-N (--new) is not supported yet"),
        (
            ["--all=maybe"],
            'invalid argument "maybe" for "-a, --all" flag:'
            ' strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
        (
            ["--count=1_0"],
            'invalid argument "1_0" for "--count" flag:'
            ' strconv.ParseInt: parsing "1_0": invalid syntax',
        ),
    ],
)
def test_what_does_not_fit_is_told_in_dockers_words(words: list[str], said: str) -> None:
    with pytest.raises(Misuse) as raised:
        parse(FLAGS, words)
    assert (str(raised.value), raised.value.code) == (said, 125)


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["x", "-ah"]])
def test_help_is_asked_for_by_either_name(words: list[str]) -> None:
    with pytest.raises(Help):
        parse(FLAGS, words)


@pytest.mark.parametrize(
    ("operands", "words", "said"),
    [
        ((0, 0), ["x"], "accepts no arguments"),
        ((1, 1), [], "requires 1 argument"),
        ((2, 2), ["x"], "requires 2 arguments"),
        ((1, ANY), [], "requires at least 1 argument"),
        ((0, 1), ["x", "y"], "requires at most 1 argument"),
        ((1, 2), [], "requires at least 1 and at most 2 arguments"),
    ],
)
def test_operands_are_counted(operands: tuple[int, int], words: list[str], said: str) -> None:
    command = Command(None, "", example="", operands=operands)
    with pytest.raises(Misuse) as raised:
        command.parse(words)
    assert (str(raised.value), raised.value.code) == (said, 1)


class TestEveryCommand:
    @pytest.mark.parametrize("name", COMMANDS)
    def test_its_example_could_be_typed(self, name: str) -> None:
        example = catalog.load(name).example
        typed = [
            words[1:]
            for part in re.split(r"[|<>\n]|&&", example)
            if (words := shlex.split(part.strip(" ()"))) and words[0] == "lading"
        ]
        assert typed, example
        for words in typed:
            found, rest = catalog.find(words)
            found.command.parse(rest)

    @pytest.mark.parametrize("name", COMMANDS)
    def test_its_flags_have_help_and_no_name_twice(self, name: str) -> None:
        flags = catalog.load(name).flags
        names = [flag.name for flag in flags]
        shorts = [flag.short for flag in flags if flag.short]
        assert len(set(names)) == len(names) and len(set(shorts)) == len(shorts)
        assert all(flag.help for flag in flags)
        assert all(flag.same in names for flag in flags)

    @pytest.mark.parametrize("name", COMMANDS)
    def test_it_explains_itself_and_asks_nothing(
        self, name: str, lading: Lading, engine: CannedEngine
    ) -> None:
        ended = lading(*name.split(), "--help")
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.startswith(f"Usage:  lading {name} ")
        assert COMMANDS[name][1] in ended.out and "Examples:\n  " in ended.out
        assert not engine.asked

    @pytest.mark.parametrize("group", GROUPS)
    def test_a_group_lists_its_commands(self, group: str, lading: Lading) -> None:
        out = lading(group, "--help").out
        for word in GROUPS[group][1]:
            assert word in out or word in ("list", "remove", "ps")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["stopx", "x"], 1, "Did you mean 'lading stop'"),
        (["container", "inspectx", "x"], 1, "Did you mean 'lading container inspect'?"),
        (["context", "ls"], 1, "'lading context' is not supported yet"),
        (["manifest", "rm", "x"], 1, "'lading manifest rm' is not supported yet"),
        (["--tls", "ps"], 125, "--tls is not supported yet"),
        (["--nonsense", "ps"], 125, "unknown flag: --nonsense"),
        (["ps", "--nonsense"], 125, "Run 'lading ps --help' for more information"),
        (["stop"], 1, "lading stop: requires at least 1 argument"),
        (["-H", "tcp://127.0.0.1:1", "ps"], 1, "only unix:// sockets are supported"),
    ],
)
def test_a_wrong_command_line_is_told_before_anything_is_asked(
    words: list[str], code: int, said: str, engine: CannedEngine, lading: Lading
) -> None:
    ended = lading(*words)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err
    assert not engine.asked


def test_the_host_may_be_given_before_the_command(
    engine: CannedEngine, lading: Lading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LADING_HOST", "unix:///nowhere")
    engine.answers["GET /containers/json"] = []
    assert lading("--host", engine.host, "ps", "-q").code == 0
    assert lading(f"-H{engine.host}", "ps", "-q").code == 0


def test_a_defect_is_one_line_unless_debugging(
    engine: CannedEngine, lading: Lading, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.answers["GET /containers/json"] = [{"no": "Id"}]
    quiet = lading("ps", "-q")
    assert quiet.code == 1
    assert quiet.err.startswith("lading: internal error: KeyError") and quiet.err.count("\n") == 1
    assert "Traceback" in lading("--debug", "ps", "-q").err
