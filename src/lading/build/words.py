"""One instruction's text, taken apart: its words, its pairs, its JSON or shell form."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from lading.build.errors import InvalidDockerfile, Location
from lading.build.flags import Flags
from lading.build.instruction import Command
from lading.build.lines import Heredoc, Statement
from lading.image.words import split

_BLANKS = re.compile(r"[\t\v\f\r ]+")
_NOT_STRINGS = "when using JSON array syntax, arrays must be comprised of strings only"


@dataclass(frozen=True, slots=True)
class Clause:
    """What stands behind the *keyword*: its *flags* apart, the *rest* as written."""

    keyword: str
    flags: Flags
    rest: str
    escape: str
    statement: Statement

    @property
    def text(self) -> str:
        return self.statement.text

    @property
    def where(self) -> Location:
        return self.statement.where

    @property
    def heredocs(self) -> tuple[Heredoc, ...]:
        return self.statement.heredocs

    def wrong(self, why: str) -> InvalidDockerfile:
        """The error that says *why*, with the place."""
        return InvalidDockerfile(self.where, why)

    def whole(self) -> str:
        """The rest as one argument."""
        if not self.rest:
            raise self.wrong(f"{self.keyword} requires exactly one argument")
        return self.rest

    def blank_separated(self) -> list[str]:
        """Words between blanks, quotes meaning nothing; at least one."""
        if not self.rest:
            raise self.wrong(f"{self.keyword} requires at least one argument")
        return _BLANKS.split(self.rest)

    def quoted(self) -> list[str]:
        """Words whose quotes keep blanks together; at least one."""
        words = split(self.rest, escape=self.escape)
        if not words:
            raise self.wrong(f"{self.keyword} requires at least one argument")
        return words

    def pairs(self) -> tuple[tuple[tuple[str, str], ...], bool]:
        """``NAME=VALUE ...``, or (True) the old form ``NAME VALUE``."""
        words = self.quoted()
        if "=" not in words[0]:
            parts = _BLANKS.split(self.rest, maxsplit=1)
            if len(parts) < 2:
                raise self.wrong(f"{self.keyword} must have two arguments: expected name=value")
            return ((parts[0], parts[1]),), True
        return tuple(self._pair(word) for word in words), False

    def _pair(self, word: str) -> tuple[str, str]:
        name, equals, value = word.partition("=")
        if not equals:
            raise self.wrong(
                f"Syntax error - can't find = in {word[:80]!r}. Must be of the form: name=value"
            )
        if not name:
            raise self.wrong(f"{self.keyword} names can not be blank")
        return name, value

    def json(self, text: str | None = None) -> tuple[str, ...] | None:
        """The words of the JSON form; None for a text in another form, broken JSON included."""
        text = self.rest if text is None else text
        if not text.startswith("["):
            return None
        try:
            words = json.loads(text)
            json.dumps(words, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            return None
        if not isinstance(words, list):
            return None
        if not all(isinstance(word, str) for word in words):
            raise self.wrong(_NOT_STRINGS)
        return tuple(words)

    def command(self, text: str | None = None) -> Command:
        """The exec form, or the shell form of anything else."""
        text = self.rest if text is None else text
        words = self.json(text)
        if words is not None:
            return Command(words, shell=False)
        return Command.of_shell(text) if text else Command((), shell=False)
