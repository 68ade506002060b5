"""What ``lading build`` sends: a directory less what .dockerignore leaves out, or a tar as is.

The Dockerfile is read here where it lies in a directory, so that it may lie anywhere and be
left out of the context.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from lading.build.ignore import NO_MATCH, Ignore
from lading.cli.faults import Fault
from lading.cli.terminal import STDIN, is_terminal
from lading.cli.upload import Body, Write
from lading.layer import write
from lading.layer.compression import detect
from lading.layer.entry import Entry
from lading.layer.pack import Packer, walk

_NAMES = ("Dockerfile", "dockerfile")
_IGNORE = ".dockerignore"
_PIECE = 256 * 1024
_USTAR = slice(257, 262)
_MOST_TEXT = 16 * 1024 * 1024
_ADDRESSES = ("http://", "https://", "git://", "git@", "ssh://", "github.com/")


class Sent:
    """The context as a body, the Dockerfile's name, and its text unless it lies in the body."""

    __slots__ = ("body", "dockerfile", "filtered", "text")

    def __init__(
        self,
        body: Body | None,
        dockerfile: str,
        text: bytes | None = None,
        *,
        filtered: bool = False,
    ) -> None:
        self.body = body
        self.dockerfile = dockerfile
        self.text = text
        self.filtered = filtered


def gathered(context: str, file: str) -> Sent:
    """What ``build -f file context`` is to send; Fault."""
    if context == "-":
        if file == "-":
            raise Fault("invalid argument: can't use stdin for both build context and dockerfile")
        return _from_input(file)
    if context.startswith(_ADDRESSES):
        raise Fault(f"remote contexts are not supported yet: {context}")
    root = Path(context)
    if not root.is_dir():
        reason = "not a directory" if root.exists() else "path not found"
        raise Fault(f'unable to prepare context: {reason}: "{context}"')
    name, text, beside = _dockerfile(root, file)
    ignore = _ignore(root, beside)
    return Sent(Body(lambda out: _pack(root, ignore, out)), name, text, filtered=True)


def _dockerfile(root: Path, file: str) -> tuple[str, bytes, Path | None]:
    """Its name, its text, and where it lies (None on standard input)."""
    if file == "-":
        return "Dockerfile", sys.stdin.buffer.read(_MOST_TEXT), None
    places = [Path(file)] if file else [root / name for name in _NAMES]
    for place in places:
        try:
            return _shown(place, root), place.read_bytes(), place
        except FileNotFoundError:
            continue
        except OSError as error:
            raise Fault(f"failed to read dockerfile: open {place}: {error.strerror}") from None
    raise Fault(f"failed to read dockerfile: open {places[0]}: no such file or directory")


def _shown(place: Path, root: Path) -> str:
    """The file as errors name it: below the context where it lies there."""
    whole, above = place.absolute(), root.absolute()
    return str(whole.relative_to(above)) if whole.is_relative_to(above) else place.name


def _ignore(root: Path, dockerfile: Path | None) -> Ignore | None:
    """The Dockerfile's own list, or the context's."""
    own = [dockerfile.with_name(dockerfile.name + _IGNORE)] if dockerfile else []
    for place in (*own, root / _IGNORE):
        try:
            return Ignore.parse(place.read_bytes())
        except FileNotFoundError:
            continue
        except OSError as error:
            raise Fault(f"failed to read {place}: {error.strerror}") from None
    return None


def _from_input(file: str) -> Sent:
    """A tar, compressed or not, or a Dockerfile alone."""
    if is_terminal(STDIN):
        raise Fault("requested build from stdin, but stdin is empty")
    head = _read_head()
    if not head:
        raise Fault("failed to read dockerfile: stdin is empty")
    if detect(head) != "none" or head[_USTAR] == b"ustar":
        return Sent(Body(lambda out: _stream(head, out)), file)
    text = bytearray(head)
    while piece := os.read(STDIN, _PIECE):
        text += piece
        if len(text) > _MOST_TEXT:
            raise Fault("failed to read dockerfile: stdin holds neither a tar nor a Dockerfile")
    return Sent(None, "Dockerfile", bytes(text))


def _read_head() -> bytes:
    head = b""
    while len(head) < write.BLOCK and (piece := os.read(STDIN, write.BLOCK - len(head))):
        head += piece
    return head


def _stream(head: bytes, out: Write) -> None:
    out(head)
    while piece := os.read(STDIN, _PIECE):
        out(piece)


def _pack(root: Path, ignore: Ignore | None, out: Write) -> None:
    """The directory as a tar, its files root's."""
    try:
        with _Gathered(out) as gathered, Packer(root, gathered, _as_root) as packer:
            for path in chosen(root, ignore):
                packer.add(path, path)
            gathered.write(write.END)
    except PermissionError as error:
        raise Fault(
            f"error checking context: no permission to read from {error.filename}"
        ) from None


def chosen(root: Path, ignore: Ignore | None) -> Iterator[bytes]:
    """The paths below *root* that are sent, parents first; sockets and fifos are not."""
    if ignore is None:
        yield from walk(root)
        return
    given: set[bytes] = {b""}
    for path, match in _entered(root, ignore):
        if ignore.excluded(match):
            continue
        for above in _above(path):
            if above not in given:
                given.add(above)
                yield above
        yield path
        given.add(path)


def _above(path: bytes) -> Iterator[bytes]:
    parts = path.split(b"/")
    return (b"/".join(parts[:depth]) for depth in range(1, len(parts)))


def _entered(root: Path, ignore: Ignore) -> Iterator[tuple[bytes, int]]:
    """Every path with its match; a directory in which nothing can be kept is not entered."""
    waiting: list[tuple[bytes, int, bool]] = _listed(root, b"", NO_MATCH, ignore)
    while waiting:
        path, match, is_directory = waiting.pop()
        yield path, match
        kept = not ignore.excluded(match) or not ignore.prunes(os.fsdecode(path), match)
        if is_directory and kept:
            waiting += _listed(root, path, match, ignore)


def _listed(root: Path, path: bytes, above: int, ignore: Ignore) -> list[tuple[bytes, int, bool]]:
    """The entries of a directory, the last one first."""
    start = path + b"/" if path else b""
    found = []
    with os.scandir(root / os.fsdecode(path)) as rows:
        for row in rows:
            inner = start + os.fsencode(row.name)
            match = ignore.match(os.fsdecode(inner), above)
            found.append((inner, match, row.is_dir(follow_symlinks=False)))
    return sorted(found, reverse=True)


def _as_root(entry: Entry) -> None:
    entry.uid = entry.gid = 0


class _Gathered:
    """Small writes, sent together."""

    def __init__(self, out: Callable[[bytes], object]) -> None:
        self._out = out
        self._pieces: list[bytes] = []
        self._size = 0

    def write(self, piece: bytes) -> None:
        self._pieces.append(bytes(piece))
        self._size += len(piece)
        if self._size >= _PIECE:
            self.flush()

    def flush(self) -> None:
        if self._pieces:
            self._out(b"".join(self._pieces))
            self._pieces, self._size = [], 0

    def __enter__(self) -> _Gathered:
        return self

    def __exit__(self, kind: type[BaseException] | None, *failure: object) -> None:
        if kind is None:
            self.flush()
