"""Go's ``printf``: verbs, flags, width and precision, and its complaints in the output."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lading.cli.gotemplate.printing import plain, quoted
from lading.cli.gotemplate.values import type_name

_VERB = re.compile(r"%([-+# 0]*)(\*|\d+)?(?:\.(\*|\d+)?)?(.)?", re.DOTALL)
_WIDEST = 10_000  # what a table could ever want; Go's own limit is a million
_INTEGERS = {"d": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}
_FLOATS = "eEfFgG"


class Directive:
    """One ``%…`` of a format."""

    __slots__ = ("flags", "precision", "verb", "width")

    def __init__(self, flags: str, width: int | None, precision: int | None, verb: str) -> None:
        self.flags = flags
        self.width = width
        self.precision = precision
        self.verb = verb


def sprintf(form: str, values: Sequence[object]) -> str:
    """*form* with its verbs replaced by *values*; mistakes show in the text, as in Go."""
    rest = list(values)
    parts: list[str] = []
    at = 0
    for match in _VERB.finditer(form):
        parts.append(form[at : match.start()])
        parts.append(_directive(match, rest))
        at = match.end()
    parts.append(form[at:])
    if rest:
        extra = ", ".join(f"{type_name(value)}={plain(value)}" for value in rest)
        parts.append(f"%!(EXTRA {extra})")
    return "".join(parts)


def _directive(match: re.Match[str], rest: list[object]) -> str:
    flags, width, precision, verb = match.groups()
    if verb == "%":
        return "%"
    if verb is None:
        return "%!(NOVERB)"
    has_precision = "." in match.group()
    wide = _size(width, rest)
    precise = (_size(precision, rest) or 0) if has_precision else None
    if wide is not None and wide < 0:
        flags, wide = flags + "-", -wide
    if not rest:
        return f"%!{verb}(MISSING)"
    directive = Directive(flags, wide, precise, verb)
    return _padded(_formatted(directive, rest.pop(0)), directive)


def _size(text: str | None, rest: list[object]) -> int | None:
    if text is None:
        return None
    value = rest.pop(0) if text == "*" and rest else text
    try:
        return max(-_WIDEST, min(int(str(value)), _WIDEST))
    except ValueError:
        return None


def _formatted(directive: Directive, value: object) -> str:
    verb = directive.verb
    if verb == "v":
        return _number_sign(directive, plain(value), value)
    if verb == "T":
        return type_name(value)
    if verb == "t" and isinstance(value, bool):
        return plain(value)
    if verb in "sqxX" and isinstance(value, (str, list, tuple)):
        return _text(directive, value)
    if isinstance(value, int) and not isinstance(value, bool):
        return _integer(directive, value)
    if isinstance(value, float) and verb in _FLOATS:
        return _floating(directive, value)
    return f"%!{verb}({type_name(value)}={plain(value)})"


def _text(directive: Directive, value: object) -> str:
    text = plain(value)
    if directive.precision is not None:
        text = text[: directive.precision]
    if directive.verb == "q":
        return quoted(value if not isinstance(value, str) else text)
    if directive.verb in "xX":
        digits = text.encode("utf-8", "surrogateescape").hex()
        return digits.upper() if directive.verb == "X" else digits
    return text


def _integer(directive: Directive, value: int) -> str:
    verb = directive.verb
    if verb == "c":
        return chr(value) if 0 <= value <= 0x10FFFF else "\ufffd"
    if verb == "q":
        return f"'{chr(value)}'" if 0 <= value <= 0x10FFFF else "'\ufffd'"
    if verb == "U":
        return f"U+{value:04X}"
    if verb not in _INTEGERS:
        return f"%!{verb}(int={value})"
    digits = format(abs(value), _INTEGERS[verb]).rjust(directive.precision or 0, "0")
    prefixes = (
        {"x": "0x", "X": "0X", "o": "0", "b": "0b"} if "#" in directive.flags else {"O": "0o"}
    )
    return _number_sign(
        directive, ("-" if value < 0 else "") + prefixes.get(verb, "") + digits, value
    )


def _floating(directive: Directive, value: float) -> str:
    precision = 6 if directive.precision is None else directive.precision
    if directive.verb in "gG" and directive.precision is None:
        return _number_sign(directive, plain(value), value)
    return _number_sign(directive, format(value, f".{precision}{directive.verb}"), value)


def _number_sign(directive: Directive, text: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or text[:1] in "-+":
        return text
    if "+" in directive.flags:
        return "+" + text
    return " " + text if " " in directive.flags else text


def _padded(text: str, directive: Directive) -> str:
    if directive.width is None or len(text) >= directive.width:
        return text
    if "-" in directive.flags:
        return text.ljust(directive.width)
    if "0" not in directive.flags:
        return text.rjust(directive.width)
    sign = text[:1] if text[:1] in ("-", "+") and directive.verb not in "sqv" else ""
    return sign + text[len(sign) :].rjust(directive.width - len(sign), "0")
