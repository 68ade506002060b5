"""``RUN --mount=``: the text of one as a value."""

from __future__ import annotations

import csv
import posixpath
import re
from collections.abc import Mapping

from lading.build.instruction import RunMount
from lading.errors import Invalid

_ALIASES = {
    "src": "source",
    "dst": "target",
    "destination": "target",
    "ro": "readonly",
    "rw": "readwrite",
}
_KINDS: Mapping[str, frozenset[str]] = {
    "bind": frozenset({"from", "source", "target", "readonly", "readwrite"}),
    "cache": frozenset(
        {"from", "source", "target", "readonly", "readwrite", "id", "sharing", "mode", "uid", "gid"}
    ),
    "tmpfs": frozenset({"target", "size", "readonly", "readwrite"}),
    "secret": frozenset({"id", "source", "target", "required", "mode", "uid", "gid", "env"}),
    "ssh": frozenset({"id", "target", "required", "mode", "uid", "gid"}),
}
_SWITCHES = ("readonly", "readwrite", "required")
_SHARING = ("shared", "private", "locked")
_SIZE = re.compile(r"(\d{1,15})(?:\.(\d{1,3}))?([kmgt]?)(?:i?b)?", re.I | re.ASCII)
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}


class InvalidMount(Invalid):
    """Raised for a mount that cannot be."""


def parse(text: str, *, expanded: bool = True) -> RunMount:
    """The mount that *text* asks for; InvalidMount.

    Where it is not *expanded* yet, values with a variable in them are not looked at.
    """
    fields = _fields(text)
    kind = fields.pop("type", "bind")
    if kind not in _KINDS:
        raise InvalidMount(f"unsupported mount type {kind[:80]!r}: expected {', '.join(_KINDS)}")
    if "$" in fields.get("from", ""):
        raise InvalidMount(
            f"'{fields['from'][:80]}' in --mount from: variable expansion is not supported there: "
            "define a new stage with FROM using ARG from global scope as a workaround"
        )
    for key in fields:
        if key not in _KINDS[kind]:
            raise InvalidMount(
                f"unexpected key '{key[:80]}' for mount type {kind!r} in '{text[:200]}'"
            )
    if not expanded:
        fields = {key: value for key, value in fields.items() if "$" not in value or _is_text(key)}
    return _mount(kind, fields, text)


def _is_text(key: str) -> bool:
    return key in ("target", "source", "from", "id", "env")


def _fields(text: str) -> dict[str, str]:
    try:
        words = next(csv.reader([text]), [])
    except csv.Error as error:
        raise InvalidMount(f"failed to parse csv mount {text[:200]!r}: {error}") from None
    fields: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        key = _ALIASES.get(key.strip().lower(), key.strip().lower())
        if not equals and key not in _SWITCHES:
            raise InvalidMount(f"invalid field '{word[:80]}' must be a key=value pair")
        fields[key] = value if equals else "true"
    return fields


def _mount(kind: str, fields: Mapping[str, str], text: str) -> RunMount:
    sharing = fields.get("sharing", "shared")
    if sharing not in _SHARING:
        raise InvalidMount(f"unsupported sharing value {sharing[:80]!r}: expected {_SHARING}")
    target, source = fields.get("target", ""), fields.get("source", "")
    env = fields.get("env", "")
    identity = fields.get("id", "")
    if kind == "secret":
        identity = source or identity or posixpath.basename(target)
        target = target or ("" if env else f"/run/secrets/{posixpath.basename(identity)}")
    if kind == "secret" and not identity:
        raise InvalidMount("one of id, source, target is required for a secret mount")
    if kind not in ("secret", "ssh") and not target:
        raise InvalidMount(f"target is required in '{text[:200]}'")
    return RunMount(
        kind,
        target=target,
        source="" if kind == "secret" else source,
        source_from=fields.get("from", ""),
        id=identity or ("default" if kind == "ssh" else ""),
        read_only=_read_only(kind, fields),
        required=_switch(fields, "required", False),
        sharing=sharing,
        size=_size(fields.get("size", "0")),
        mode=_number(fields, "mode", 8),
        uid=_number(fields, "uid", 10),
        gid=_number(fields, "gid", 10),
        env=env,
    )


def _read_only(kind: str, fields: Mapping[str, str]) -> bool:
    if "readwrite" in fields:
        return not _switch(fields, "readwrite", True)
    return _switch(fields, "readonly", kind == "bind")


def _switch(fields: Mapping[str, str], key: str, default: bool) -> bool:
    value = fields.get(key)
    if value is None:
        return default
    if value.lower() not in ("true", "false", "1", "0"):
        raise InvalidMount(f"invalid value for {key}: {value[:80]}: expected true or false")
    return value.lower() in ("true", "1")


def _number(fields: Mapping[str, str], key: str, base: int) -> int:
    text = fields.get(key)
    if text is None:
        return -1
    digits = "01234567" if base == 8 else "0123456789"
    if not text or len(text) > 11 or text.strip(digits):
        raise InvalidMount(f"invalid value {text[:80]} for {key}: expected a number in base {base}")
    return int(text, base)


def _size(text: str) -> int:
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise InvalidMount(f"invalid value for size: {text[:80]}: expected bytes or 64m")
    whole, thousandths = int(found[1]), int((found[2] or "").ljust(3, "0"))
    unit = 1 << _UNITS[found[3].lower()]
    return whole * unit + thousandths * unit // 1000
