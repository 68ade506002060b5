"""``lading cp``: copy files between a container and this host, or a tar on stdin or stdout."""

from __future__ import annotations

import json
import os
import posixpath
import sys
from collections.abc import Callable, Iterable, Iterator

from lading.cli import copying
from lading.cli.client import Client
from lading.cli.command import Command
from lading.cli.copying import Source, Target
from lading.cli.faults import Fault, Misuse, Refused
from lading.cli.flags import SWITCH, Arguments, Flag
from lading.cli.http import Response
from lading.cli.pump import write
from lading.cli.references import reference
from lading.cli.terminal import STDERR, STDIN, STDOUT, is_terminal
from lading.cli.units import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Stat = dict[str, Any]

_STREAM = "-"
_PIECE = 256 * 1024
_STAT = "x-docker-container-path-stat"
# Go's FileMode, as the engine writes it.
_DIRECTORY, _LINK, _DEVICE = 1 << 31, 1 << 27, 1 << 26

_DETAIL = """
Use '-' as the source to read a tar archive from stdin and extract it to a directory
destination in a container.  Use '-' as the destination to stream a tar archive of a
container source to stdout.  A source that ends with '/.' stands for what is in the
directory.  What comes out of a container belongs to you, with -a to its owners.
"""


def run(arguments: Arguments, client: Client) -> int:
    """Copy in the one direction or the other."""
    words = arguments.operands
    for word, name in zip(words, ("source", "destination"), strict=True):
        if not word:
            raise Misuse(f"{name} can not be empty", 1)
    (from_, source), (to, destination) = map(copying.split, words)
    if from_ and to:
        raise Fault("copying between containers is not supported")
    if not from_ and not to:
        raise Fault("must specify at least one container source")
    if from_:
        copied = _out(arguments, client, _Place(client, from_, source), destination)
    else:
        copied = _in(arguments, client, source, _Place(client, to, destination))
    shown = not arguments.on("quiet") and is_terminal(STDOUT) and is_terminal(STDERR)
    if shown and destination != _STREAM:
        print(f"Successfully copied {size(copied, 3)} to {words[1]}", file=sys.stderr)
    return 0


class _Place:
    """A path in a container."""

    def __init__(self, client: Client, container: str, path: str) -> None:
        self._client = client
        self.container = container
        self.url = f"/containers/{reference(container)}/archive"
        self.path = path

    def stat(self) -> Stat:
        """What is there; Refused where nothing is."""
        answer = self._client.ask("HEAD", self.url, {"path": self.path})
        answer.read()
        return _stat(answer)

    def followed(self) -> _Place:
        """The place that a link leads to, or this one."""
        try:
            found = self.stat()
        except Refused:
            return self
        if not found["mode"] & _LINK:
            return self
        to = posixpath.join(posixpath.dirname(self.path), found["linkTarget"])
        tail = "/." if copying.means_contents(self.path) else ""
        return _Place(self._client, self.container, to + tail)


def _stat(response: Response) -> Stat:
    """From the header that comes before the archive."""
    from binascii import a2b_base64

    try:
        found: Stat = json.loads(a2b_base64(response.headers[_STAT]))
    except (KeyError, ValueError):
        raise Fault("the engine does not say what it copies") from None
    return found


# -- out of a container --------------------------------------------------------------------------


def _out(arguments: Arguments, client: Client, place: _Place, destination: str) -> int:
    """How many bytes came."""
    counter = _Counter()
    real = place.followed() if arguments.on("follow-link") else place
    if destination == _STREAM:
        answer = client.ask("GET", real.url, {"path": real.path})
        for piece in counter.counted(answer.pieces()):
            write(STDOUT, piece)
        return counter.total
    from lading.cli import local_files

    target = local_files.target(destination)
    answer = client.ask("GET", real.url, {"path": real.path})
    try:
        is_directory = bool(_stat(answer)["mode"] & _DIRECTORY)
        source = Source(place.path, copying.base(place.path), is_directory=is_directory)
        directory, name = copying.landing(source, target)
        local_files.receive(
            counter.counted(answer.pieces()),
            directory,
            copying.base(real.path),
            name,
            owners=arguments.on("archive"),
        )
    finally:
        answer.connection.close()
    return counter.total


# -- into a container ----------------------------------------------------------------------------


def _in(arguments: Arguments, client: Client, path: str, place: _Place) -> int:
    """How many bytes went."""
    real = place.followed()
    target = _target(real)
    if path == _STREAM:
        if target.is_directory is False:
            raise Fault(f'destination "{place.container}:{place.path}" must be a directory')
        return _put(arguments, client, real, real.path, _from_stdin)
    from lading.cli import local_files

    source = local_files.source(path, follow=arguments.on("follow-link"))
    directory, name = copying.landing(source, target)
    return _put(arguments, client, real, directory, lambda out: local_files.send(source, name, out))


def _target(place: _Place) -> Target:
    try:
        mode = place.stat()["mode"]
    except Refused:
        return Target(place.path, is_directory=None)  # the engine says why when it is to write
    if mode & _DEVICE:
        shown = f"{place.container}:{place.path}"
        raise Fault(f'destination "{shown}" must be a directory or a regular file')
    return Target(place.path, is_directory=bool(mode & _DIRECTORY))


def _put(
    arguments: Arguments,
    client: Client,
    place: _Place,
    directory: str,
    send: Callable[[Callable[[bytes], None]], None],
) -> int:
    from lading.cli.upload import Body, posted

    counter = _Counter()
    query = {
        "path": directory,
        "noOverwriteDirNonDir": True,
        "copyUIDGID": arguments.on("archive"),
    }
    body = Body(send)
    with posted(client, place.url, query, body, on_sent=counter.add, method="PUT") as answer:
        answer.read()
    return counter.total


def _from_stdin(out: Callable[[bytes], None]) -> None:
    while piece := os.read(STDIN, _PIECE):
        out(piece)


class _Counter:
    """How many bytes have passed."""

    def __init__(self) -> None:
        self.total = 0

    def add(self, count: int) -> None:
        self.total += count

    def counted(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.total += len(piece)
            yield piece


COMMANDS = {
    "cp": Command(
        run,
        "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n"
        "        lading cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
        example=(
            "lading cp web:/etc/hosts .\nlading cp site/. web:/www\nlading cp web:/www - | tar -t"
        ),
        flags=(
            Flag("archive", SWITCH, "Archive mode (copy all uid/gid information)", short="a"),
            Flag("follow-link", SWITCH, "Always follow symbol link in SRC_PATH", short="L"),
            Flag("quiet", SWITCH, "Suppress the report of what was copied", short="q"),
        ),
        operands=(2, 2),
        detail=_DETAIL,
        complete="containers",
    )
}
