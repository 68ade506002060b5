"""What ``cp`` means by its paths: the rules of github.com/docker/docker/pkg/archive, copy.go.

A source is a thing and what it is called in the archive; a target says into which
directory the archive goes, and what its top is called there.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable

from lading.cli.faults import Fault

CONTENTS = "."  # what a directory is called whose contents alone are meant


class Source:
    """Where the files come from; *path* leads to them, *base* is their name in the archive."""

    __slots__ = ("base", "is_directory", "path")

    def __init__(self, path: str, base: str, *, is_directory: bool) -> None:
        self.path = path
        self.base = base
        self.is_directory = is_directory


class Target:
    """Where they go; *is_directory* is None where nothing is there yet."""

    __slots__ = ("is_directory", "path")

    def __init__(self, path: str, is_directory: bool | None) -> None:
        self.path = path
        self.is_directory = is_directory


def split(word: str) -> tuple[str, str]:
    """The container (empty for this host) and the path of an operand."""
    container, colon, path = word.partition(":")
    if word.startswith(("/", ".")) or not colon:
        return "", word
    return container, path


def means_contents(path: str) -> bool:
    """Whether *path* ends with a dot that stands for a directory itself."""
    return path == "." or path.endswith("/.")


def base(path: str) -> str:
    """What the thing at *path* is called in an archive."""
    clean = posixpath.normpath(path or "/")
    return CONTENTS if means_contents(path) or clean in ("/", "//") else posixpath.basename(clean)


def landing(source: Source, target: Target) -> tuple[str, str]:
    """The directory to unpack in, and the name that the source's top gets there; Fault."""
    if target.is_directory:
        return target.path, source.base
    if target.is_directory is False and source.is_directory:
        raise Fault("cannot copy directory")
    asserted = target.path.endswith("/") or means_contents(target.path)
    if asserted and not source.is_directory:
        there = target.is_directory is False
        raise Fault("not a directory" if there else "no such directory")
    above = posixpath.dirname(posixpath.normpath(target.path))
    return above or ".", base(target.path)


def renaming(old: str, new: str) -> Callable[[tuple[bytes, ...]], tuple[bytes, ...]]:
    """From the parts of a name below *old* to those below *new*; the names are bases."""
    taken = 0 if old == CONTENTS else 1
    given = () if new == CONTENTS else (new.encode("utf-8", "surrogateescape"),)
    return lambda parts: given + parts[taken:]
