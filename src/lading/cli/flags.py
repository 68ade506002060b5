"""Read a command's flags and operands, by the rules of Docker's command line.

``--name value`` and ``--name=value``, ``-n value`` and ``-nvalue``, switches run together
(``-dit``) or set (``--rm=false``), ``--`` ends them.  No abbreviations.  A table of `Flag`
drives parsing, help and completion alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lading.cli.faults import Misuse

_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")


class Kind:
    """What a flag takes: the word in its help, how it is read, whether it may be repeated."""

    __slots__ = ("many", "read", "word")

    def __init__(self, word: str, read: Callable[[str], object], *, many: bool = False) -> None:
        self.word = word
        self.read = read
        self.many = many


def _switch(text: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def _number(text: str) -> int:
    try:
        return int(text.replace("_", "x"), 10)
    except ValueError:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


SWITCH = Kind("", _switch)
TEXT = Kind("string", str)
NUMBER = Kind("int", _number)
LIST = Kind("list", str, many=True)


class Flag:
    """One flag of a command.

    A flag with *refused* set is known by name only: lading does not have it yet.
    """

    __slots__ = ("default", "help", "hidden", "kind", "name", "refused", "same", "short", "values")

    def __init__(
        self,
        name: str,
        kind: Kind,
        help: str,
        *,
        short: str = "",
        default: object = None,
        refused: bool = False,
        hidden: bool = False,
        same: str = "",
        values: Sequence[str] | str = (),
    ) -> None:
        self.name = name
        self.short = short
        self.kind = kind
        self.help = help
        self.default = default
        self.refused = refused
        self.hidden = hidden
        self.same = same or name  # the flag that this one is another name of
        self.values = values  # what completion offers: words, or the kind of things

    def __str__(self) -> str:
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


class Arguments:
    """What stood on the command line."""

    __slots__ = ("_defaults", "_values", "operands")

    def __init__(self, flags: Sequence[Flag]) -> None:
        self._defaults = {flag.name: flag.default for flag in flags}
        self._values: dict[str, object] = {}
        self.operands: list[str] = []

    def keep(self, flag: Flag, value: object) -> None:
        """Remember what *flag* was given."""
        if flag.kind.many:
            kept = self._values.setdefault(flag.same, [])
            assert isinstance(kept, list)
            kept.append(value)
        else:
            self._values[flag.same] = value

    def given(self, name: str) -> bool:
        """Whether the flag stood there at all."""
        return name in self._values

    def value(self, name: str) -> object:
        """The flag's value or its default."""
        return self._values.get(name, self._defaults[name])

    def on(self, name: str) -> bool:
        return bool(self.value(name))

    def text(self, name: str) -> str:
        value = self.value(name)
        return "" if value is None else str(value)

    def number(self, name: str) -> int:
        value = self.value(name)
        return value if isinstance(value, int) else 0

    def many(self, name: str) -> list[str]:
        value = self.value(name)
        return list(value) if isinstance(value, list) else []


class Help(Exception):
    """The user asked for help."""


def parse(flags: Sequence[Flag], words: Sequence[str], *, interspersed: bool = True) -> Arguments:
    """Sort *words* into flags and operands; Misuse when they do not fit, Help for ``--help``.

    Unless *interspersed*, everything after the first operand is an operand: the flags behind
    an image belong to the container's program.
    """
    reader = _Reader(flags, words)
    while reader.words:
        word = reader.words.pop(0)
        if word == "--":
            reader.arguments.operands += reader.words
            break
        if word.startswith("--"):
            reader.long(word)
        elif word.startswith("-") and word != "-":
            reader.short(word)
        else:
            reader.arguments.operands.append(word)
            if not interspersed:
                reader.arguments.operands += reader.words
                break
    return reader.arguments


class _Reader:
    """The state of one parse."""

    def __init__(self, flags: Sequence[Flag], words: Sequence[str]) -> None:
        self.arguments = Arguments(flags)
        self.words = list(words)
        self._long = {flag.name: flag for flag in flags}
        self._short = {flag.short: flag for flag in flags if flag.short}

    def long(self, word: str) -> None:
        name, equals, value = word[2:].partition("=")
        flag = self._long.get(name)
        if flag is None:
            if name == "help":
                raise Help
            if not name or name.startswith(("-", "=")):
                raise Misuse(f"bad flag syntax: {word}")
            raise Misuse(f"unknown flag: --{name}")
        if flag.refused:
            raise Misuse(f"--{name} is not supported yet")
        if equals:
            self._keep(flag, value)
        elif flag.kind is SWITCH:
            self.arguments.keep(flag, True)
        elif self.words:
            self._keep(flag, self.words.pop(0))
        else:
            raise Misuse(f"flag needs an argument: --{name}")

    def short(self, word: str) -> None:
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            flag = self._short.get(letter)
            if flag is None:
                if letter == "h":
                    raise Help
                raise Misuse(f"unknown shorthand flag: '{letter}' in {word}")
            if flag.refused:
                raise Misuse(f"-{letter} (--{flag.name}) is not supported yet")
            letters = self._short_value(flag, letters, word)

    def _short_value(self, flag: Flag, letters: str, word: str) -> str:
        """Take the flag's value; what is left are further flags of the same word."""
        if letters.startswith("="):
            self._keep(flag, letters[1:])
        elif flag.kind is SWITCH:
            self.arguments.keep(flag, True)
            return letters
        elif letters:
            self._keep(flag, letters)
        elif self.words:
            self._keep(flag, self.words.pop(0))
        else:
            raise Misuse(f"flag needs an argument: '{flag.short}' in {word}")
        return ""

    def _keep(self, flag: Flag, text: str) -> None:
        try:
            value = flag.kind.read(text)
        except ValueError as error:
            raise Misuse(f'invalid argument "{text}" for "{flag}" flag: {error}') from None
        self.arguments.keep(flag, value)
