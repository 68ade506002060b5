"""``lading build --output``: the image as an archive, its files as a tar or in a directory."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from lading.cli import wholefile
from lading.cli.client import Client
from lading.cli.faults import Fault, Refused
from lading.cli.pump import write as write_all
from lading.cli.terminal import STDOUT, is_terminal

_KINDS = ("tar", "local", "oci", "docker")
_PIECE = 256 * 1024


class Output:
    """Where to, and in which form."""

    __slots__ = ("destination", "kind")

    def __init__(self, kind: str, destination: str) -> None:
        self.kind = kind
        self.destination = destination

    @classmethod
    def parse(cls, text: str) -> Output:
        """``type=KIND,dest=PATH``, a directory, or ``-`` for a tar on standard output; Fault."""
        if "=" not in text:
            return cls("tar", "-") if text == "-" else cls("local", text)
        fields = dict(part.partition("=")[::2] for part in text.split(","))
        kind = fields.pop("type", "")
        destination = fields.pop("dest", fields.pop("destination", "-"))
        if kind not in _KINDS or fields:
            raise Fault(f"invalid output {text!r}: expected type={'|'.join(_KINDS)},dest=PATH")
        if kind == "local" and destination == "-":
            raise Fault("a directory is needed for --output type=local: dest=PATH")
        if destination == "-" and is_terminal(STDOUT):
            raise Fault("refusing to write an archive to a terminal: use dest=PATH")
        return cls(kind, destination)


def write(client: Client, image: str, output: Output, names: list[str]) -> None:
    """Write *image*; what is not a directory appears whole or not at all."""
    if output.kind in ("oci", "docker"):
        query = {"names": names or [image]}
        _put(client.ask("GET", "/images/get", query).pieces(), output.destination)
        return
    pieces = client.ask("GET", f"/lading/v1/images/{image}/rootfs").pieces()
    if output.kind == "tar":
        _put(pieces, output.destination)
        return
    _unpack(pieces, Path(output.destination))


def forget(client: Client, image: str) -> None:
    """An image that was only to be written, and has no name, does not stay."""
    with suppress(Refused):  # it was here before, under a name
        client.ask("DELETE", f"/images/{image}")


def _put(pieces: Iterable[bytes], destination: str) -> None:
    if destination == "-":
        for piece in pieces:
            write_all(STDOUT, piece)
        return
    wholefile.check(destination)
    wholefile.write(destination, pieces)


def _unpack(pieces: Iterable[bytes], target: Path) -> None:
    """Everything belongs to the user unless he is root."""
    from typing import BinaryIO, cast

    from lading.cli.local_files import Pieces
    from lading.layer.unpack import Options, unpack

    target.mkdir(parents=True, exist_ok=True)
    owner = None if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    stream = cast(BinaryIO, io.BufferedReader(Pieces(iter(pieces)), _PIECE))
    unpack(stream, target, options=Options(owner=owner, keep_top=True))
