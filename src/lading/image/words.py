"""Dockerfile's words: quotes, escapes and variables, as Docker's shell lexer reads them (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lading.errors import Invalid

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?!-]")
_BRACED = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*|[0-9@*#?!-])(?:(:?[-+?])(.*))?\}", re.DOTALL)
_MOST_DEPTH = 16


class InvalidWord(Invalid):
    """Raised for a word with an open quote or a variable that is not one."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(f"failed to process {text[:200]!r}: {why}")


def split(text: str) -> list[str]:
    """The words of *text*, quotes and escapes still in them; a quoted blank does not end a word."""
    words, word, quote, at = [], "", "", 0
    while at < len(text):
        char = text[at]
        if char == "\\" and quote != "'" and at + 1 < len(text):
            word += text[at : at + 2]
            at += 2
            continue
        if char.isspace() and not quote:
            words += [word] if word else []
            word = ""
        else:
            quote = _quote_after(quote, char)
            word += char
        at += 1
    return words + ([word] if word else [])


def expand(text: str, variables: Mapping[str, str], *, depth: int = 0) -> str:
    """*text* with quotes and escapes taken away and ``$name`` put in; InvalidWord.

    ``${name:-word}``, ``${name:+word}`` and ``${name:?word}`` too, with or without the colon.
    """
    if depth > _MOST_DEPTH:
        raise InvalidWord(text, "variables are nested too deeply")
    result, quote, at = "", "", 0
    while at < len(text):
        char = text[at]
        if char == "\\" and quote != "'" and at + 1 < len(text):
            kept = quote == '"' and text[at + 1] not in '"$\\'
            result += ("\\" if kept else "") + text[at + 1]
            at += 2
        elif char in "'\"" and _quote_after(quote, char) != quote:
            quote = _quote_after(quote, char)
            at += 1
        elif char == "$" and quote != "'":
            value, at = _variable(text, at, variables, depth)
            result += value
        else:
            result += char
            at += 1
    if quote:
        raise InvalidWord(text, "unexpected end of statement while looking for matching quote")
    return result


def _quote_after(quote: str, char: str) -> str:
    """The quote that is open after *char*."""
    if char not in "'\"":
        return quote
    if not quote:
        return char
    return "" if quote == char else quote


def _variable(text: str, at: int, variables: Mapping[str, str], depth: int) -> tuple[str, int]:
    """What stands for the variable at *at*, and where the text goes on."""
    if text[at + 1 : at + 2] != "{":
        plain = _NAME.match(text, at + 1)
        return (variables.get(plain[0], ""), plain.end()) if plain else ("$", at + 1)
    end = _closing(text, at + 1)
    braced = _BRACED.fullmatch(text, at + 1, end)
    if braced is None:
        raise InvalidWord(text, "syntax error: bad substitution")
    name, modifier, word = braced[1], braced[2] or "", braced[3] or ""
    value = variables.get(name)
    given = bool(value) if modifier.startswith(":") else value is not None
    if modifier.endswith("-") and not given:
        return expand(word, variables, depth=depth + 1), end
    if modifier.endswith("+"):
        return (expand(word, variables, depth=depth + 1) if given else ""), end
    if modifier.endswith("?") and not given:
        raise InvalidWord(text, f"{name}: {word or 'is not allowed to be unset'}")
    return value or "", end


def _closing(text: str, at: int) -> int:
    """Where the brace that opens at *at* has been closed."""
    open_braces = 0
    for place in range(at, len(text)):
        open_braces += {"{": 1, "}": -1}.get(text[place], 0)
        if not open_braces:
            return place + 1
    raise InvalidWord(text, "syntax error: missing '}'")
