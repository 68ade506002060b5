"""Cut a template into tokens: the text between actions, and the words inside them.

The rules are those of Go's text/template/parse/lex.go: ``{{- `` and `` -}}`` trim the
text beside them, comments are dropped, newlines inside an action are white space.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lading.cli.gotemplate.errors import TemplateError

TEXT, OPEN, CLOSE, WORD, FIELD, VARIABLE, STRING, CHARACTER, NUMBER, SIGN = range(10)

_BLANK = " \t\r\n"
_SPACE = re.compile(r"[ \t\r\n]*")
_OPENING = re.compile(r"\{\{(-(?=[ \t\r\n]))?")
_COMMENT = re.compile(r"[ \t\r\n]*/\*")
_ENDS_WORD = _BLANK + ".,|:()"
_INSIDE = (
    (NUMBER, r"[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+"
             r"|(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]+)?)"),
    (FIELD, r"\.[^\W\d]\w*"),
    (VARIABLE, r"\$\w*"),
    (WORD, r"[^\W\d]\w*"),
    (STRING, r'"(?:[^"\\\n]|\\[^\n])*"|`[^`]*`'),
    (CHARACTER, r"'(?:[^'\\\n]|\\[^\n])+'"),
    (SIGN, r":=|[!#-&(-9;-_a-~]"),
)  # fmt: skip
_TOKEN = re.compile("|".join(f"({pattern})" for _, pattern in _INSIDE))
_UNTERMINATED = {
    '"': "unterminated quoted string",
    "`": "unterminated raw quoted string",
    "'": "unterminated character constant",
    ":": "expected :=",
}


class Token:
    """One token: its kind, its text, its offset, and whether white space came before it."""

    __slots__ = ("at", "kind", "spaced", "text")

    def __init__(self, kind: int, text: str, at: int, *, spaced: bool = False) -> None:
        self.kind = kind
        self.text = text
        self.at = at
        self.spaced = spaced


def line(source: str, at: int) -> int:
    """The line, from one, of the offset *at*."""
    return source.count("\n", 0, at) + 1


def column(source: str, at: int) -> int:
    """The column of the offset *at*, as Go counts it: bytes, from zero."""
    start = source.rfind("\n", 0, at) + 1
    return len(source[start:at].encode("utf-8", "surrogatepass"))


def mistake(source: str, at: int, message: str) -> TemplateError:
    """A parse error at *at*, worded as Go's parser words it."""
    return TemplateError(f"template: :{line(source, at)}: {message}")


def tokens(source: str) -> Iterator[Token]:
    """Every token of *source*, in order; TemplateError where there is none."""
    at, trim = 0, False
    while opening := _OPENING.search(source, at):
        yield from _text(source[at : opening.start()], at, trim, opening.group(1) is not None)
        comment = _COMMENT.match(source, opening.end())
        if comment and (opening.group(1) or comment.group() == "/*"):
            at, trim = _after_comment(source, comment.end())
            continue
        yield Token(OPEN, "{{", opening.start())
        at = opening.end()
        while (closed := _closing(source, at)) is None:
            token = _token(source, at)
            yield token
            at = token.at + len(token.text)
        yield Token(CLOSE, "}}", at)
        at, trim = closed
    yield from _text(source[at:], at, trim, False)


def _text(text: str, at: int, left: bool, right: bool) -> Iterator[Token]:
    text = text.lstrip(_BLANK) if left else text
    text = text.rstrip(_BLANK) if right else text
    if text:
        yield Token(TEXT, text, at)


def _after_comment(source: str, at: int) -> tuple[int, bool]:
    end = source.find("*/", at)
    if end < 0:
        raise mistake(source, at, "unclosed comment")
    closed = _closing(source, end + 2)
    if closed is None:
        raise mistake(source, at, "comment ends before closing delimiter")
    return closed


def _closing(source: str, at: int) -> tuple[int, bool] | None:
    """Where the text after ``}}`` or `` -}}`` begins, and whether that trims it."""
    after = at + len(_blank(source, at))
    if source.startswith("}}", after):
        return after + 2, False
    if after > at and source.startswith("-}}", after):
        return after + 3, True
    return None


def _blank(source: str, at: int) -> str:
    match = _SPACE.match(source, at)
    return match.group() if match else ""


def _token(source: str, at: int) -> Token:
    start = at + len(_blank(source, at))
    match = _TOKEN.match(source, start)
    if match is None:
        raise mistake(source, start, _complaint(source[start : start + 1]))
    kind = _INSIDE[(match.lastindex or 1) - 1][0]
    after = source[match.end() : match.end() + 1]
    ends = not after or after in _ENDS_WORD or source.startswith("}}", match.end())
    if kind in (NUMBER, FIELD, VARIABLE, WORD) and not ends:
        raise mistake(source, start, _bad_end(kind, match.group(), after))
    return Token(kind, match.group(), start, spaced=start > at)


def _complaint(character: str) -> str:
    if not character:
        return "unclosed action"
    if character in _UNTERMINATED:
        return _UNTERMINATED[character]
    return f"unrecognized character in action: {_code(character)}"


def _bad_end(kind: int, text: str, after: str) -> str:
    if kind == NUMBER:
        return f'bad number syntax: "{text}{after}"'
    return f"bad character {_code(after)}"


def _code(character: str) -> str:
    return f"U+{ord(character):04X} '{character}'"
