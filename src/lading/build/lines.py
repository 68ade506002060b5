"""A Dockerfile's lines made into statements: comments out, continuations joined, heredocs taken.

The file is a stranger's: its size and that of a line have limits, and every line is looked
at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lading.build import directives
from lading.build.directives import Directives
from lading.build.errors import InvalidDockerfile, Location
from lading.image.words import split

_MOST_BYTES = 8 << 20
_MOST_LINE = 65535  # Docker's own limit
_BOM = b"\xef\xbb\xbf"
_HEREDOC = re.compile(r"\d{0,9}<<(-?)([^<]+)", re.DOTALL)
_TAKES_HEREDOCS = re.compile(r"\s*(?:ONBUILD\s+)?(?:ADD|COPY|RUN)\s+(?:--\S+\s+)*(.*)", re.I | re.S)
_WORD = re.compile(r"(?:[^\s'\"\\]|\\.|'[^']*'|\"[^\"]*\")++", re.DOTALL)
_QUOTES = re.compile(r"\\(.)|['\"]", re.DOTALL)
_LEADING_TABS = re.compile(r"^\t+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Heredoc:
    """``<<NAME`` and the lines up to NAME; *expand*: the name was not quoted; *chomp*: ``<<-``."""

    name: str
    expand: bool
    chomp: bool
    raw: str = ""

    @property
    def content(self) -> str:
        """The lines; without their leading tabs where the heredoc asks for that."""
        return _LEADING_TABS.sub("", self.raw) if self.chomp else self.raw


@dataclass(frozen=True, slots=True)
class Statement:
    """One instruction's text, in one line; *blank* is the line of an empty continuation, or 0."""

    text: str
    where: Location
    heredocs: tuple[Heredoc, ...] = ()
    blank: int = 0


def read(raw: bytes, file: str) -> tuple[Directives, tuple[Statement, ...]]:
    """The directives and the statements of *raw*; InvalidDockerfile."""
    if len(raw) > _MOST_BYTES:
        raise InvalidDockerfile(Location(file, 1, 1), f"is larger than {_MOST_BYTES} bytes")
    lines = raw.removeprefix(_BOM).decode(errors="replace").split("\n")
    for number, line in enumerate(lines, 1):
        _check(line, Location(file, number, number))
    found = directives.read(lines, file)
    statements = tuple(_Reader(lines, file, found.escape).statements())
    if not statements:
        where = Location(file, len(lines), len(lines))
        raise InvalidDockerfile(where, "file with no instructions")
    return found, statements


def heredoc_of(word: str) -> Heredoc | None:
    """The heredoc that *word* begins, without its lines; None when it begins none."""
    found = _HEREDOC.fullmatch(word)
    if found is None:
        return None
    name = _QUOTES.sub(r"\1", found[2]) if _WORD.fullmatch(found[2]) else ""
    return Heredoc(name, name == found[2], bool(found[1])) if name else None


def _check(line: str, where: Location) -> None:
    if len(line) > _MOST_LINE:
        why = f"dockerfile line greater than max allowed size of {_MOST_LINE}"
        raise InvalidDockerfile(where, why)
    if "\0" in line:
        raise InvalidDockerfile(where, "holds a NUL character: expected text in UTF-8")


class _Reader:
    def __init__(self, lines: list[str], file: str, escape: str) -> None:
        self._lines = lines
        self._file = file
        self._escape = escape
        self._at = 0
        sign = re.escape(escape)
        self._continued = re.compile(rf"(?<!{sign}){sign}[ \t]*\Z")

    def statements(self) -> Iterator[Statement]:
        while self._at < len(self._lines):
            first = self._at + 1
            text, blank = self._joined()
            if text.strip():
                heredocs = self._heredocs(text, first)
                yield Statement(
                    text.strip(), Location(self._file, first, self._at), heredocs, blank
                )

    def _next(self) -> str:
        line = self._lines[self._at].removesuffix("\r")
        self._at += 1
        return line

    def _joined(self) -> tuple[str, int]:
        """A line with those that continue it, and where an empty one was among them."""
        line = self._next().lstrip()
        parts, blank = [] if line.startswith("#") else [line], 0
        while parts and self._continues(parts) and self._at < len(self._lines):
            line = self._next()
            if line.lstrip().startswith("#"):
                parts.append(self._escape)  # a comment within leaves the statement open
            elif not line.strip():
                parts.append(self._escape)
                blank = blank or (self._at if self._at < len(self._lines) else 0)
            else:
                parts.append(line)
        return "".join(parts), blank

    def _continues(self, parts: list[str]) -> bool:
        """Take the continuation off the last of *parts*, if it has one."""
        found = self._continued.search(parts[-1])
        if found:
            parts[-1] = parts[-1][: found.start()]
        return found is not None

    def _heredocs(self, text: str, first: int) -> tuple[Heredoc, ...]:
        takes = _TAKES_HEREDOCS.fullmatch(text) if "<<" in text else None
        if takes is None or _is_json(takes[1]):
            return ()
        words = split(text, escape=self._escape)
        begun = (heredoc_of(word) for word in words)
        return tuple(self._filled(heredoc, first) for heredoc in begun if heredoc)

    def _filled(self, heredoc: Heredoc, first: int) -> Heredoc:
        """*heredoc* with its lines, which are read up to its name."""
        start = self._at
        while self._at < len(self._lines):
            line = self._next()
            if (line.lstrip("\t") if heredoc.chomp else line) == heredoc.name:
                lines = (line.removesuffix("\r") for line in self._lines[start : self._at - 1])
                raw = "".join(f"{line}\n" for line in lines)
                return Heredoc(heredoc.name, heredoc.expand, heredoc.chomp, raw)
        where = Location(self._file, first, self._at)
        why = f"unterminated heredoc: expected a line {heredoc.name[:80]} after its text"
        raise InvalidDockerfile(where, why)


def _is_json(text: str) -> bool:
    try:
        return text.startswith("[") and isinstance(json.loads(text), list)
    except (ValueError, RecursionError):
        return False
