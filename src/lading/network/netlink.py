"""Netlink, as little of it as the network needs: messages, attributes, a socket.

Written here rather than taken from pyroute2 because a container's start waits for it:
importing and opening that costs more than all the messages of a start together.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

ROUTE = 0  # NETLINK_ROUTE
NETFILTER = 12  # NETLINK_NETFILTER

REQUEST = 0x01
ACK = 0x04
DUMP = 0x300
CREATE = 0x400
EXCLUSIVE = 0x200
REPLACE = 0x100

_ERROR = 2  # NLMSG_ERROR
_DONE = 3  # NLMSG_DONE
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_NESTED = 0x8000
_TYPE_MASK = 0x3FFF
_SOL_NETLINK = 270
_CAP_ACK = 10
_EXT_ACK = 11
_ADD_MEMBERSHIP = 1
_CAPPED = 0x100  # NLM_F_CAPPED
_ACK_TLVS = 0x200  # NLM_F_ACK_TLVS
_REASON = 1  # NLMSGERR_ATTR_MSG
_BUFFER = 1 << 18


class NetlinkError(OSError):
    """What the kernel answered instead of yes; errno as usual."""


@dataclass(frozen=True, slots=True)
class Message:
    """One request: its type, its flags beside REQUEST, and what follows the header."""

    type: int
    payload: bytes
    flags: int = ACK


@dataclass(frozen=True, slots=True)
class _Answer:
    type: int
    sequence: int
    body: bytes
    refusal: NetlinkError | None


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + b"\0" * (-length % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    """Attributes within an attribute."""
    return attribute(kind | _NESTED, b"".join(attributes))


def text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def attributes(raw: bytes) -> dict[int, bytes]:
    """The attributes in *raw* by type; of several of one type, the last."""
    found: dict[int, bytes] = {}
    offset = 0
    while offset + _ATTRIBUTE.size <= len(raw):
        length, kind = _ATTRIBUTE.unpack_from(raw, offset)
        if length < _ATTRIBUTE.size:
            break
        found[kind & _TYPE_MASK] = raw[offset + _ATTRIBUTE.size : offset + length]
        offset += length + (-length % 4)
    return found


class Netlink:
    """A netlink socket in the network namespace of the thread that opens it.

    Not to be shared by threads.
    """

    def __init__(self, protocol: int = ROUTE, groups: Sequence[int] = ()) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol
        )
        self._socket.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
        self._socket.bind((0, 0))
        for group in groups:
            self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
        self._sequence = 0

    def __enter__(self) -> Netlink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def run(self, *messages: Message) -> None:
        """Have all *messages* done, in order, in one trip; NetlinkError for the first refused."""
        first = self._sequence + 1
        self._send(messages)
        waiting = set(range(first, self._sequence + 1))
        refusal: NetlinkError | None = None
        while waiting:
            for answer in self._receive():
                waiting.discard(answer.sequence)
                refusal = refusal or answer.refusal
        if refusal is not None:
            raise refusal

    def dump(self, kind: int, payload: bytes) -> list[bytes]:
        """What follows the header in every answer to a dump; NetlinkError."""
        self._send([Message(kind, payload, DUMP)])
        answers: list[bytes] = []
        while True:
            for answer in self._receive():
                if answer.sequence != self._sequence:
                    continue
                if answer.refusal is not None:
                    raise answer.refusal
                if answer.type == _DONE:
                    return answers
                answers.append(answer.body)

    def events(self) -> list[tuple[int, bytes]]:
        """Wait for what the kernel says to the groups joined: types and what follows."""
        return [(answer.type, answer.body) for answer in self._receive()]

    def _send(self, messages: Sequence[Message]) -> None:
        parts = []
        for message in messages:
            self._sequence += 1
            length = _HEADER.size + len(message.payload)
            flags = REQUEST | message.flags
            parts.append(_HEADER.pack(length, message.type, flags, self._sequence, 0))
            parts.append(message.payload)
        self._socket.send(b"".join(parts))

    def _receive(self) -> Iterator[_Answer]:
        raw = self._socket.recv(_BUFFER)
        offset = 0
        while offset + _HEADER.size <= len(raw):
            length, kind, flags, sequence, _ = _HEADER.unpack_from(raw, offset)
            body = raw[offset + _HEADER.size : offset + length]
            yield _Answer(kind, sequence, body, _refusal(body, flags) if kind == _ERROR else None)
            offset += max(length, _HEADER.size) + (-length % 4)


def _refusal(body: bytes, flags: int) -> NetlinkError | None:
    code = -struct.unpack_from("=i", body)[0]
    if code == 0:
        return None
    reason = _reason(body, flags) if flags & _ACK_TLVS else ""
    return NetlinkError(code, f"{os.strerror(code)} ({reason})" if reason else os.strerror(code))


def _reason(body: bytes, flags: int) -> str:
    """The kernel's own words, which follow the header of the refused message."""
    length = _HEADER.size if flags & _CAPPED else struct.unpack_from("=I", body, 4)[0]
    start = 4 + length + (-length % 4)
    return attributes(body[start:]).get(_REASON, b"").rstrip(b"\0").decode(errors="replace")
