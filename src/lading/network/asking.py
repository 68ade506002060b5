"""Ask a name server whether it knows a name: no more of DNS than that (RFC 1035)."""

from __future__ import annotations

import os
import socket
import struct
import time

_PORT = 53
_PATIENCE = 0.05  # seconds for one answer: the server is on this host
_PAUSE = 0.002
_HEADER = struct.Struct(">HHHHHH")
_RECURSION_DESIRED = 0x0100
_A_IN_INTERNET = struct.pack(">HH", 1, 1)


def await_name(server: str, name: str, seconds: float) -> bool:
    """Whether *server* knows an address for *name*, or comes to know one soon."""
    deadline = time.monotonic() + seconds
    while not _knows(server, name):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def question(number: int, name: str) -> bytes:
    """A query for the IPv4 addresses of *name*."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    header = _HEADER.pack(number, _RECURSION_DESIRED, 1, 0, 0, 0)
    return header + labels + b"\0" + _A_IN_INTERNET


def answers(number: int, message: bytes) -> int:
    """How many records *message* brings in answer to the query of that *number*."""
    if len(message) < _HEADER.size:
        return 0
    found, _, _, count, _, _ = _HEADER.unpack_from(message)
    return int(count) if found == number else 0


def _knows(server: str, name: str) -> bool:
    number = int.from_bytes(os.urandom(2))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asked:
        asked.settimeout(_PATIENCE)
        try:
            asked.connect((server, _PORT))
            asked.send(question(number, name))
            return answers(number, asked.recv(4096)) > 0
        except OSError:  # refused or silent: it is not there yet
            return False
