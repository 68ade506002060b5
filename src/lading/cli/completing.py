"""What may stand next on the command line: the commands, their flags, and names of things.

The shells ask this module, so that their scripts are short and never out of date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from lading.cli import catalog
from lading.cli.command import Command
from lading.cli.faults import Misuse
from lading.cli.flags import SWITCH, Flag
from lading.cli.usage import GLOBAL_OPTIONS

Look = Callable[[str], Iterable[str]]  # the names of one kind of things
FILES = ":files"  # in place of offers: the shell knows its files best
_WORDS: Mapping[str, Sequence[str]] = {
    "bases": ("busybox", "debian"),
    "shells": ("bash", "zsh", "fish"),
}
_HOST = ("-H", "--host")


def offers(words: Sequence[str], look: Look) -> Iterator[str]:
    """What completes the last of *words*: a text, a tab and its help where there is one.

    *look* knows the names of containers, running containers, images, volumes and networks.
    """
    *before, partial = words or [""]
    rest = _after_globals(before)
    if rest is None:
        yield FILES
        return
    for text, told in _offers(rest, partial, look):
        if text == FILES:
            yield FILES
        elif text.startswith(partial):
            yield f"{text}\t{told}" if told else text


def host_of(words: Sequence[str]) -> str:
    """The socket that *words* name before the command; empty where they name none."""
    host = ""
    for word, following in zip(words, [*words[1:], ""], strict=False):
        name, _, value = word.partition("=")
        if name in _HOST:
            host = value or following
        elif not word.startswith("-") and word != host:
            break
    return host


def _after_globals(words: list[str]) -> list[str] | None:
    """What follows the global flags; None while the last one's value is being typed."""
    rest = list(words)
    while rest and rest[0].startswith("-"):
        if rest.pop(0) in _HOST:
            if not rest:
                return None
            rest.pop(0)
    return rest


def _offers(words: list[str], partial: str, look: Look) -> Iterator[tuple[str, str]]:
    if not words:
        yield from _globals() if partial.startswith("-") else _commands()
    elif words[0] in catalog.GROUPS and len(words) == 1:
        forms = catalog.GROUPS[words[0]][1]
        yield from ((word, catalog.COMMANDS[name][1]) for word, name in sorted(forms.items()))
    else:
        try:
            found, rest = catalog.find(words)
        except Misuse:
            return
        yield from _of_command(found.command, rest, partial, look)


def _globals() -> Iterator[tuple[str, str]]:
    for left, told in GLOBAL_OPTIONS:
        for word in left.replace(",", " ").split():
            if word.startswith("-"):
                yield word, told


def _commands() -> Iterator[tuple[str, str]]:
    single = {name: told for name, (_, told) in catalog.COMMANDS.items() if " " not in name}
    groups = {name: told for name, (told, _) in catalog.GROUPS.items()}
    yield from sorted({**single, **groups}.items())


def _of_command(
    command: Command, words: list[str], partial: str, look: Look
) -> Iterator[tuple[str, str]]:
    flag, operands, ended = _position(command, words)
    if flag is not None:
        yield from ((text, "") for text in _values(flag.values, look))
    elif operands and not command.interspersed:
        yield FILES, ""  # the words of the container's program
    elif partial.startswith("--") and "=" in partial and not ended:
        yield from _joined(command, partial, look)
    elif partial.startswith("-") and not ended:
        yield from _flags(command)
    elif operands < command.most:
        yield from ((text, "") for text in _values(command.complete, look))


def _position(command: Command, words: Iterable[str]) -> tuple[Flag | None, int, bool]:
    """The flag whose value comes next, how many operands there were, whether flags ended."""
    pending: Flag | None = None
    operands, ended = 0, False
    for word in words:
        if pending is not None:
            pending = None
        elif ended or not word.startswith("-") or word == "-":
            operands += 1
            ended = ended or not command.interspersed
        elif word == "--":
            ended = True
        else:
            pending = _wanting(command, word)
    return pending, operands, ended


def _wanting(command: Command, word: str) -> Flag | None:
    """The flag of *word* that takes the next word as its value."""
    if word.startswith("--"):
        found = next((f for f in command.flags if f.name == word[2:]), None)
    else:  # of switches run together the last one counts
        found = next((f for f in command.flags if f.short and f.short == word[-1]), None)
        if len(word) > 2 and not _all_switches(command, word[1:-1]):
            return None
    return None if found is None or found.kind is SWITCH else found


def _all_switches(command: Command, letters: str) -> bool:
    switches = {flag.short for flag in command.flags if flag.kind is SWITCH}
    return all(letter in switches for letter in letters)


def _joined(command: Command, partial: str, look: Look) -> Iterator[tuple[str, str]]:
    """``--name=value``."""
    name = partial[2:].partition("=")[0]
    for flag in command.flags:
        if flag.name == name:
            values = ("true", "false") if flag.kind is SWITCH else flag.values
            for text in _values(values, look):
                yield text if text == FILES else f"--{name}={text}", ""


def _flags(command: Command) -> Iterator[tuple[str, str]]:
    for flag in command.flags:
        if not flag.hidden and not flag.refused:
            yield f"--{flag.name}", flag.help
            if flag.short:
                yield f"-{flag.short}", flag.help
    yield "--help", "Print usage"


def _values(wanted: Sequence[str] | str, look: Look) -> Iterator[str]:
    """Words as they are; a kind of things by their names."""
    if not isinstance(wanted, str):
        yield from wanted
    elif wanted == "files":
        yield FILES
    elif wanted in _WORDS:
        yield from _WORDS[wanted]
    elif wanted:
        yield from sorted(set(look(wanted)))
