"""Values as Go prints them: ``fmt.Sprint`` and its kin, and ``json.Marshal``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence

from lading.cli.gotemplate.values import Nil, NilList, NilMap
from lading.cli.quoting import quote

_LINE_ENDS = {"\u2028": "\\u2028", "\u2029": "\\u2029"}


def show(value: object) -> str:
    """What an action prints for the value."""
    return "<no value>" if value is None else plain(value)


def plain(value: object) -> str:
    """The value under ``%v``."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return floating(value)
    if value is None or isinstance(value, Nil):
        return "<nil>"
    if isinstance(value, dict):
        pairs = (f"{key}:{plain(value[key])}" for key in sorted(value))
        return f"map[{' '.join(pairs)}]"
    if isinstance(value, (list, tuple)):
        return f"[{' '.join(map(plain, value))}]"
    if hasattr(value, "fields"):
        return f"{{{' '.join(map(plain, value.fields().values()))}}}"
    return str(value)


def floating(value: float) -> str:
    """A float under ``%v``: the shortest digits that read back, exponents below -4 and from 6."""
    if not math.isfinite(value):
        return {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, "NaN")
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    digits, exponent = f"{value:.17e}".split("e")
    for precision in range(17):
        short = f"{value:.{precision}e}"
        if float(short) == value:
            digits, exponent = short.split("e")
            break
    power = int(exponent)
    if power < -4 or power >= 6:
        return f"{digits}e{'-' if power < 0 else '+'}{abs(power):02d}"
    places = len(digits.partition(".")[2])
    return f"{value:.{max(0, places - power)}f}"


def sprint(values: Sequence[object]) -> str:
    """Spaces only between operands of which neither is a string."""
    parts: list[str] = []
    for index, value in enumerate(values):
        if index and not isinstance(value, str) and not isinstance(values[index - 1], str):
            parts.append(" ")
        parts.append(plain(value))
    return "".join(parts)


def sprintln(values: Iterable[object]) -> str:
    """Spaces between all operands, and a newline."""
    return " ".join(map(plain, values)) + "\n"


def to_json(value: object) -> str:
    """The value as Docker's ``json`` function gives it: compact, not escaped for HTML."""
    if isinstance(value, (NilList, NilMap)):
        return "null"
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_jsonable)
    for character, escape in _LINE_ENDS.items():
        text = text.replace(character, escape)
    return text


def _jsonable(value: object) -> object:
    if hasattr(value, "fields"):
        return value.fields()
    return None


def quoted(value: object) -> str:
    """The value under ``%q``."""
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, (list, tuple)):
        return f"[{' '.join(map(quoted, value))}]"
    return plain(value)
