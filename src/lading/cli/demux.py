"""Take apart the one stream in which a container's stdout and stderr come.

Each frame has eight bytes before it: the stream's number, three zeros, and the length
(Engine API, "Stream format").  Pure: bytes in, bytes out.
"""

from __future__ import annotations

from lading.cli.faults import Fault

_HEAD = 8
_STDOUT, _STDERR, _SYSTEM = 1, 2, 3


class Demux:
    """Knows where in the stream it is."""

    def __init__(self) -> None:
        self._head = b""
        self._kind = 0
        self._left = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The pieces in *data* in order, each with 1 (stdout) or 2 (stderr) before it.

        Neighbours of one stream are put together.  Fault for an error that the engine put
        into the stream, and for anything that is no such stream.
        """
        found: list[tuple[int, list[bytes]]] = []
        at = 0
        while at < len(data):
            if not self._left:
                at = self._begin(data, at)
                continue
            piece = data[at : at + self._left]
            at += len(piece)
            self._left -= len(piece)
            if found and found[-1][0] == self._kind:
                found[-1][1].append(piece)
            else:
                found.append((self._kind, [piece]))
        joined = [(kind, b"".join(pieces)) for kind, pieces in found]
        for kind, text in joined:
            if kind == _SYSTEM:
                reason = text.decode("utf-8", "replace").strip()
                raise Fault(f"error from daemon in stream: {reason}")
        return joined

    def _begin(self, data: bytes, at: int) -> int:
        """Read a frame's head, or as much as there is of it."""
        wanted = _HEAD - len(self._head)
        head = self._head + data[at : at + wanted]
        if len(head) < _HEAD:
            self._head = head
            return len(data)
        self._head = b""
        self._kind = _STDOUT if head[0] == 0 else head[0]
        if self._kind not in (_STDOUT, _STDERR, _SYSTEM) or head[1:4] != b"\0\0\0":
            raise Fault(f"the engine's stream is broken: unrecognized header {head.hex()}")
        self._left = int.from_bytes(head[4:], "big")
        return at + wanted
