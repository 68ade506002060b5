"""How many connections wait to be accepted at a unix socket: sock_diag(7)."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

_NETLINK_SOCK_DIAG = 4
_BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_ERROR = 2
_DONE = 3
_LISTENING = 1 << 10  # TCP_LISTEN, which stands for every family
_SHOW_FILE_AND_QUEUE = 0x02 | 0x10
_FILE = 1  # UNIX_DIAG_VFS
_QUEUE = 4  # UNIX_DIAG_RQLEN
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBHIIIII")
_ANSWER = struct.Struct("=BBBBIII")
_ATTRIBUTE = struct.Struct("=HH")
_PAIR = struct.Struct("=II")
_SECONDS = 1.0


def waiting(path: Path) -> int | None:
    """The connections that nobody has accepted at the socket *path*; None when it is unknown.

    It is unknown where nobody listens, and where the kernel cannot say.
    """
    try:
        found = path.stat()
        wanted = (found.st_ino & 0xFFFFFFFF, os.major(found.st_dev) << 20 | os.minor(found.st_dev))
        return next((queue for file, queue in _listening() if file == wanted), None)
    except OSError:
        return None


def _listening() -> Iterator[tuple[tuple[int, int], int]]:
    """Every listening unix socket that has a file: (inode, device), and its queue's length."""
    body = _REQUEST.pack(socket.AF_UNIX, 0, 0, _LISTENING, 0, _SHOW_FILE_AND_QUEUE, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(_SECONDS)
        kernel.send(_HEADER.pack(_HEADER.size + len(body), _BY_FAMILY, _DUMP, 1, 0) + body)
        while messages := kernel.recv(65536):
            for kind, answer in _messages(messages):
                if kind in (_DONE, _ERROR):
                    return
                attributes = dict(_attributes(answer))
                if _FILE in attributes and _QUEUE in attributes:
                    queue, _ = _PAIR.unpack_from(attributes[_QUEUE])
                    yield _PAIR.unpack_from(attributes[_FILE]), queue


def _messages(text: bytes) -> Iterator[tuple[int, bytes]]:
    while len(text) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(text)
        yield kind, text[_HEADER.size : length]
        text = text[max(_aligned(length), _HEADER.size) :]


def _attributes(answer: bytes) -> Iterator[tuple[int, bytes]]:
    text = answer[_ANSWER.size :]
    while len(text) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(text)
        yield kind, text[_ATTRIBUTE.size : length]
        text = text[max(_aligned(length), _ATTRIBUTE.size) :]


def _aligned(length: int) -> int:
    return (length + 3) & ~3
