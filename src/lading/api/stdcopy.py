"""Docker's multiplexed stream: eight bytes of header before each piece (pure).

Engine API, ContainerAttach, "Stream format": the stream's number, three zero bytes, and
the piece's length, big-endian.
"""

from __future__ import annotations

import struct

STDOUT = 1
STDERR = 2
NAMES = {"stdout": STDOUT, "stderr": STDERR}
RAW = "application/vnd.docker.raw-stream"
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
_HEADER = struct.Struct(">BxxxL")


def frame(stream: int, piece: bytes) -> bytes:
    """*piece* with its header; nothing for nothing."""
    return _HEADER.pack(stream, len(piece)) + piece if piece else b""
