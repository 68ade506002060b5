"""``-e``, ``--label`` and the files of such lines: names with values."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from lading.cli.faults import Fault


def environment(
    files: Iterable[str], given: Iterable[str], outside: Mapping[str, str] = os.environ
) -> list[str]:
    """The variables of *files*, then those *given*; a bare name takes its value from *outside*.

    A bare name that *outside* does not know is left out when it comes from a file, and
    stays bare when given: the engine then takes it away from the image's own.
    """
    lines = _from_files(files, outside)
    for text in given:
        name, equals, _ = text.partition("=")
        if not name:
            raise Fault(f"invalid environment variable: {text}")
        lines.append(f"{name}={outside[name]}" if not equals and name in outside else text)
    return lines


def labels(files: Iterable[str], given: Iterable[str]) -> dict[str, str]:
    """The labels of *files*, then those *given*; a bare name has an empty value.

    In a file a bare name means nothing, as in Docker.
    """
    lines = [*_from_files(files, {}), *given]
    for line in lines:
        if line.startswith("="):
            raise Fault(f"invalid label '{line}': empty name")
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def pairs(given: Iterable[str]) -> dict[str, str]:
    """``name=value`` of a flag that makes a map."""
    return {name: value for name, _, value in (text.partition("=") for text in given)}


def _from_files(files: Iterable[str], outside: Mapping[str, str]) -> list[str]:
    found: list[str] = []
    for path in files:
        try:
            with open(path, "rb") as file:
                raw = file.read()
        except OSError as error:
            raise Fault(f"open {path}: {(error.strerror or '').lower()}") from None
        found += _lines(path, raw.removeprefix(b"\xef\xbb\xbf"), outside)
    return found


def _lines(path: str, raw: bytes, outside: Mapping[str, str]) -> Iterable[str]:
    for number, data in enumerate(raw.split(b"\n"), 1):
        try:
            line = data.rstrip(b"\r").decode().lstrip()
        except UnicodeDecodeError:
            raise Fault(f"invalid utf8 bytes at line {number}: {path}") from None
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not name:
            raise Fault(f"no variable name on line '{line}'")
        if name != name.strip() or any(c.isspace() for c in name):
            raise Fault(f"variable '{name}' contains whitespaces")
        if equals:
            yield f"{name}={value}"
        elif name in outside:
            yield f"{name}={outside[name]}"
