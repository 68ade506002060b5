"""Dockerfile's words: quotes, escapes and variables, as Docker's shell lexer reads them (pure).

The text is a stranger's: nesting and the size of what comes out have limits, and the time
grows with the text and the values put in, no faster.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lading.errors import Invalid
from lading.image.word_patterns import InvalidPattern, replaced, without_prefix, without_suffix

_NAME = re.compile(r"[^\W\d]\w*|\d+|[@*#?$!-]")
_PLAIN = re.compile(r"[^\\`'\"$}/\s]+")
_MOST_DEPTH = 64
_MOST_RESULT = 1 << 20
_MOST_WORK = 1 << 22
_SPLITTERS = {
    escape: re.compile(
        rf"(?:[^\s'\"{re.escape(escape)}]|{re.escape(escape)}(?:.|\Z)|'[^']*+(?:'|\Z)"
        rf'|"(?:[^"{re.escape(escape)}]|{re.escape(escape)}(?:.|\Z))*+(?:"|\Z))++',
        re.DOTALL,
    )
    for escape in "\\`"
}


class InvalidWord(Invalid):
    """Raised for a word with an open quote or a variable that is not one."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(f"failed to process {_quoted(text)}: {why}")
        self.why = why


@dataclass(frozen=True, slots=True)
class Expansion:
    """A text with its variables put in: as one *text*, and split into *words* after that.

    *missing* are the variables that are not set, where the text has no word for that case.
    """

    text: str
    words: tuple[str, ...]
    missing: tuple[str, ...]


def split(text: str, *, escape: str = "\\") -> list[str]:
    """The words of *text*, quotes and escapes still in them; a quoted blank does not end a word."""
    words = [found[0] for found in _SPLITTERS[escape].finditer(text)]
    if words and text.endswith(escape) and _is_open_escape(words[-1], escape):
        words[-1] = words[-1][:-1]  # Docker skips an escape with nothing behind it
    return [word for word in words if word]


def expand(
    text: str, variables: Mapping[str, str], *, escape: str = "\\", quotes: bool = True
) -> str:
    """*text* with quotes and escapes taken away and variables put in; InvalidWord.

    Every form that a Dockerfile knows: ``$x``, ``${x}``, ``:-``, ``:+``, ``:?`` (with or
    without the colon), ``#``, ``##``, ``%``, ``%%``, ``/`` and ``//``.  Without *quotes*
    those are text like any other.
    """
    return expansion(text, variables, escape=escape, quotes=quotes).text


def expansion(
    text: str, variables: Mapping[str, str], *, escape: str = "\\", quotes: bool = True
) -> Expansion:
    """`expand`, and the words that come of it; InvalidWord."""
    return _Lexer(text, variables, escape, quotes).read()


def _quoted(text: str) -> str:
    shown = text if len(text) <= 200 else text[:200] + "..."
    return '"' + shown.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _is_open_escape(word: str, escape: str) -> bool:
    """Whether the escape that ends *word* is not itself escaped."""
    return (len(word) - len(word.rstrip(escape))) % 2 == 1


@dataclass(slots=True)
class _Words:
    """What has been read: the whole text, and its words."""

    text: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    word: list[str] = field(default_factory=list)

    def add(self, text: str, *, whole: bool) -> None:
        """*whole*: blanks in it do not end the word."""
        self.text.append(text)
        if whole or not any(map(str.isspace, text)):
            self.word.append(text)
            return
        if text[0].isspace():
            self.end()
        for number, part in enumerate(text.split()):
            if number:
                self.end()
            self.word.append(part)
        if text[-1].isspace():
            self.end()

    def end(self) -> None:
        if word := "".join(self.word):
            self.words.append(word)
        self.word.clear()


class _Lexer:
    def __init__(self, text: str, variables: Mapping[str, str], escape: str, quotes: bool) -> None:
        self._source = text
        self._variables = variables
        self._escape = escape
        self._quotes = "'\"" if quotes else ""
        self._at = 0
        self._depth = 0
        self._work = 0
        self._missing: dict[str, None] = {}

    def read(self) -> Expansion:
        out = self._until("", raw=False)
        out.end()
        return Expansion("".join(out.text), tuple(out.words), tuple(self._missing))

    def _wrong(self, why: str) -> InvalidWord:
        return InvalidWord(self._source, why)

    def _peek(self) -> str:
        return self._source[self._at : self._at + 1]

    def _next(self) -> str:
        char = self._peek()
        self._at += 1
        return char

    def _count(self, size: int) -> None:
        self._work += size
        if self._work > _MOST_WORK:
            raise self._wrong("the variables in it are too large")

    def _until(self, stop: str, *, raw: bool) -> _Words:
        """Read up to *stop* ("": the end); *raw*: escapes stay, for a pattern to read."""
        out, size = _Words(), 0
        while char := self._peek():
            if char == stop:
                self._at += 1
                return out
            text, whole = self._piece(char, raw)
            size += len(text)
            self._count(len(text))
            if size > _MOST_RESULT:
                raise self._wrong(f"it expands to more than {_MOST_RESULT} bytes")
            if text or whole:
                out.add(text, whole=whole)
        if stop:
            missing = "missing '/' in ${}" if stop == "/" else "missing '}'"
            raise self._wrong(f"syntax error: {missing}")
        return out

    def _piece(self, char: str, raw: bool) -> tuple[str, bool]:
        """The next piece of text, and whether blanks in it are kept together."""
        if char == "$":
            return self._variable(), False
        if char in self._quotes:
            return (self._single() if char == "'" else self._double(raw)), True
        if char == self._escape:
            self._at += 1
            return (char if raw else "") + self._next(), True
        if plain := _PLAIN.match(self._source, self._at):
            self._at = plain.end()
            return plain[0], True
        return self._next(), False

    def _single(self) -> str:
        end = self._source.find("'", self._at + 1)
        if end < 0:
            raise self._wrong("unexpected end of statement while looking for matching single-quote")
        text = self._source[self._at + 1 : end]
        self._at = end + 1
        return text

    def _double(self, raw: bool) -> str:
        parts: list[str] = []
        self._at += 1
        while char := self._peek():
            if char == "$":
                parts.append(self._variable())
                continue
            self._at += 1
            if char == '"':
                return "".join(parts)
            if char == self._escape and self._peek() in ('"', "$", self._escape):
                char = (char if raw else "") + self._next()
            elif char == self._escape and not self._peek():
                break
            elif plain := _PLAIN.match(self._source, self._at):
                char += plain[0]
                self._at = plain.end()
            parts.append(char)
        raise self._wrong("unexpected end of statement while looking for matching double-quote")

    def _name(self) -> str:
        found = _NAME.match(self._source, self._at)
        self._at = found.end() if found else self._at
        return found[0] if found else ""

    def _value(self, name: str, *, needed: bool = True) -> str | None:
        value = self._variables.get(name)
        if value is None and needed:
            self._missing[name] = None
        self._count(len(value or ""))
        return value

    def _variable(self) -> str:
        self._at += 1
        if self._peek() != "{":
            name = self._name()
            return (self._value(name) or "") if name else "$"
        self._at += 1
        if not self._peek():
            raise self._wrong("syntax error: missing '}'")
        if self._peek() in "{}:":
            raise self._wrong("syntax error: bad substitution")
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise self._wrong(f"variables are nested more than {_MOST_DEPTH} deep")
        text = self._braced(self._name())
        self._depth -= 1
        return text

    def _braced(self, name: str) -> str:
        """What stands for the variable, from its modifier on."""
        modifier = self._next()
        if modifier == "}":
            return self._value(name) or ""
        if modifier == ":":
            modifier += self._next()
        if modifier in ("#", "%"):
            return self._cut(name, modifier)
        if modifier == "/":
            return self._replaced(name)
        if modifier[-1:] not in ("-", "+", "?") or modifier == "":
            missing = "syntax error: missing '}'"
            wrong = f"unsupported modifier ({modifier}) in substitution"
            raise self._wrong(wrong if self._peek() else missing)
        return self._chosen(name, modifier)

    def _chosen(self, name: str, modifier: str) -> str:
        word = "".join(self._until("}", raw=False).text)
        value = self._value(name, needed=False)
        given = bool(value) if modifier[0] == ":" else value is not None
        if modifier[-1] == "+":
            return word if given else ""
        if given or modifier[-1] == "-":
            return (value or "") if given else word
        state = "unset" if value is None else "empty"
        raise self._wrong(f"{name}: {word or f'is not allowed to be {state}'}")

    def _cut(self, name: str, modifier: str) -> str:
        """``#`` and ``%``; doubled, the longest match goes."""
        longest = self._peek() == modifier
        self._at += longest
        pattern = "".join(self._until("}", raw=True).text)
        value = self._value(name) or ""
        self._count(len(value) * len(pattern))
        cut = without_prefix if modifier == "#" else without_suffix
        try:
            return cut(value, pattern, longest=longest)
        except InvalidPattern as error:
            raise self._wrong(f"invalid pattern ({pattern}) in substitution: {error}") from None

    def _replaced(self, name: str) -> str:
        every = self._peek() == "/"
        self._at += every
        pattern = "".join(self._until("/", raw=True).text)
        new = "".join(self._until("}", raw=False).text)
        value = self._value(name) or ""
        self._count(len(value) * (len(pattern) + len(new)))
        try:
            return replaced(value, pattern, new, every=every)
        except InvalidPattern as error:
            raise self._wrong(f"invalid pattern ({pattern}) in substitution: {error}") from None
