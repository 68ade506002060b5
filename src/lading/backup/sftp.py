"""The SSH file transfer protocol, version 3, over an `ssh` of this host's: what a shelf needs.

Only sshd and its sftp subsystem are wanted at the other side.  Requests are sent ahead of
their answers, which come in the same order.
"""

from __future__ import annotations

import os
import selectors
import struct
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from lading.errors import Conflict, Denied, NotFound, Unavailable

_INIT, _VERSION, _OPEN, _CLOSE, _READ, _WRITE = 1, 2, 3, 4, 5, 6
_OPENDIR, _READDIR, _REMOVE, _MKDIR, _STAT, _RENAME, _EXTENDED = 11, 12, 13, 14, 17, 18, 200
_STATUS, _HANDLE, _DATA, _NAME, _ATTRS = 101, 102, 103, 104, 105
_FOR_READING, _FOR_WRITING = 1, 2 | 8 | 32  # the latter: write, create, and it must be new
_OK, _EOF, _NO_SUCH_FILE, _PERMISSION_DENIED = 0, 1, 2, 3
_PIECE = 32 * 1024
_AHEAD = 32
_MOST_ANSWER = 1024 * 1024
_SILENCE = 120.0
_SSH = (
    "ssh", "-oBatchMode=yes", "-oConnectTimeout=15", "-oServerAliveInterval=15",
    "-oServerAliveCountMax=4", "-oClearAllForwardings=yes", "-oForwardAgent=no",
    "-oForwardX11=no", "-oPermitLocalCommand=no",
)  # fmt: skip


class SftpFailed(Unavailable):
    """Raised where the other side cannot be reached, or cannot do what is asked."""


class SftpDenied(Denied):
    """Raised where the other side's user may not do that."""


class NoSuchPath(NotFound):
    """Raised for a path that is not there."""


class PathRefused(Conflict):
    """Raised for what the other side refuses without a reason: mostly it is there already."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is told of a file; *mode* has its kind."""

    size: int
    mode: int
    modified: int


class Sftp:
    """One connection; safe to use from several threads."""

    def __init__(self, host: str, *, user: str = "", port: int = 0) -> None:
        """The names are valid ones; SftpFailed."""
        command = [*_SSH, *(["-l", user] if user else []), *(["-p", str(port)] if port else [])]
        self._where = host
        self._words = cast(BinaryIO, TemporaryFile())  # noqa: SIM115  # `close` closes it
        try:
            self._process = subprocess.Popen(
                [*command, "-s", "--", host, "sftp"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._words,
                start_new_session=True,
            )
        except OSError as error:
            self._words.close()
            raise SftpFailed(f"ssh cannot be run: {error.strerror}") from None
        assert self._process.stdin and self._process.stdout
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._held = b""
        self._lock, self._number = threading.Lock(), 0
        try:
            self._greet()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End it; idempotent."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._words.close()

    def stat(self, path: str) -> Attributes:
        """NoSuchPath, SftpDenied."""
        _, body = self._ask(_STAT, _text(path))
        return _attributes(body, 0)[0]

    def read(self, path: str, at: int, length: int) -> bytes:
        """Bytes from *at* on, fewer where there are no more; NoSuchPath."""
        handle = self._opened(path, _FOR_READING)
        try:
            found, left = bytearray(), length
            while left and (more := self._read(handle, at + len(found), left)):
                found += more
                left -= len(more)
            return bytes(found)
        finally:
            self._ask(_CLOSE, handle)

    def write(self, path: str, stream: BinaryIO) -> None:
        """Make a new file, and have it on the disk where the other side can say so."""
        handle = self._opened(path, _FOR_WRITING)
        try:
            with self._lock:
                self._write(handle, stream)
            if b"fsync@openssh.com" in self._extensions:
                self._ask(_EXTENDED, _text("fsync@openssh.com") + handle)
        finally:
            self._ask(_CLOSE, handle)

    def replace(self, old: str, new: str) -> None:
        """Give a file another's name, which is gone then."""
        if b"posix-rename@openssh.com" not in self._extensions:
            raise SftpFailed(f"the sftp server of {self._where} cannot replace files")
        self._ask(_EXTENDED, _text("posix-rename@openssh.com") + _text(old) + _text(new))

    def rename(self, old: str, new: str) -> None:
        """Give a file a new name; PathRefused where there is such a file."""
        self._ask(_RENAME, _text(old) + _text(new))

    def remove(self, path: str) -> None:
        """NoSuchPath."""
        self._ask(_REMOVE, _text(path))

    def make_directory(self, path: str) -> None:
        """For its owner alone; PathRefused where there is one."""
        self._ask(_MKDIR, _text(path) + struct.pack(">II", 4, 0o700))

    def entries(self, path: str) -> Sequence[tuple[str, Attributes]]:
        """What lies in a directory, by name; NoSuchPath."""
        _, handle = self._ask(_OPENDIR, _text(path))
        found: list[tuple[str, Attributes]] = []
        try:
            while (answer := self._ask(_READDIR, handle))[0] == _NAME:
                found += _entries(answer[1])
        finally:
            self._ask(_CLOSE, handle)
        return found

    def _greet(self) -> None:
        self._put(struct.pack(">IBI", 5, _INIT, 3))
        kind, body = self._answer()
        if kind != _VERSION or len(body) < 4 or struct.unpack(">I", body[:4])[0] < 3:
            raise SftpFailed(f"{self._where} does not speak version 3 of sftp")
        self._extensions = frozenset(list(_strings(body, 4))[::2])

    def _opened(self, path: str, how: int) -> bytes:
        """The handle, as it is sent."""
        _, handle = self._ask(_OPEN, _text(path) + struct.pack(">III", how, 4, 0o600))
        return handle

    def _read(self, handle: bytes, at: int, length: int) -> bytes:
        """One round of requests, sent together; what came before any gap."""
        found, whole = bytearray(), True
        with self._lock:
            sizes = {}
            for offset in range(0, min(length, _PIECE * _AHEAD), _PIECE):
                size = min(_PIECE, length - offset)
                request = handle + struct.pack(">QI", at + offset, size)
                sizes[self._send(_READ, request)] = size
            waiting = deque(sizes)
            with self._settled(waiting):
                while waiting:
                    number = waiting.popleft()
                    kind, body = self._receive(number)
                    if whole and kind == _DATA:
                        found += body[4:]
                    whole = whole and kind == _DATA and len(body) == 4 + sizes[number]
        return bytes(found)

    def _write(self, handle: bytes, stream: BinaryIO) -> None:
        waiting: deque[int] = deque()
        at = 0
        with self._settled(waiting):
            while piece := stream.read(_PIECE):
                waiting.append(self._send(_WRITE, _write(handle, at, piece)))
                at += len(piece)
                if len(waiting) >= _AHEAD:
                    self._receive(waiting.popleft())
            while waiting:
                self._receive(waiting.popleft())

    @contextmanager
    def _settled(self, waiting: deque[int]) -> Iterator[None]:
        """However it ends, no answer stays behind that the next request would take for its own."""
        try:
            yield
        except SftpFailed:
            raise  # there is nobody who answers
        except BaseException:
            for number in waiting:
                with suppress(NoSuchPath, SftpDenied, PathRefused):
                    self._receive(number)
            raise

    def _ask(self, kind: int, body: bytes) -> tuple[int, bytes]:
        with self._lock:
            return self._receive(self._send(kind, body))

    def _send(self, kind: int, body: bytes) -> int:
        self._number = (self._number + 1) & 0xFFFFFFFF
        self._put(struct.pack(">IBI", 5 + len(body), kind, self._number) + body)
        return self._number

    def _receive(self, number: int) -> tuple[int, bytes]:
        """The answer; one that only says that there is no more has the kind of a status."""
        kind, body = self._answer()
        if len(body) < 4 or struct.unpack(">I", body[:4])[0] != number:
            raise self._broken("it answers what was not asked")
        if kind == _STATUS:
            self._check(body[4:])
        return kind, body[4:]

    def _check(self, body: bytes) -> None:
        code = struct.unpack(">I", body[:4])[0] if len(body) >= 4 else -1
        words = next(_strings(body, 4), b"").decode(errors="replace")[:200]
        told = f"{self._where}: {words or code}"
        if code in (_OK, _EOF):
            return
        if code == _NO_SUCH_FILE:
            raise NoSuchPath(told)
        raise SftpDenied(told) if code == _PERMISSION_DENIED else PathRefused(told)

    def _answer(self) -> tuple[int, bytes]:
        (length,) = struct.unpack(">I", self._take(4))
        if not 1 <= length <= _MOST_ANSWER:
            raise self._broken("it does not answer in sftp")
        body = self._take(length)
        return body[0], body[1:]

    def _take(self, length: int) -> bytes:
        while len(self._held) < length:
            with selectors.DefaultSelector() as selector:
                selector.register(self._out, selectors.EVENT_READ)
                if not selector.select(_SILENCE):
                    raise self._broken("it does not answer")
            piece = os.read(self._out, 256 * 1024)
            if not piece:
                raise self._broken("the connection ended")
            self._held += piece
        taken, self._held = self._held[:length], self._held[length:]
        return taken

    def _put(self, message: bytes) -> None:
        view = memoryview(message)
        try:
            while view:
                view = view[os.write(self._in, view) :]
        except OSError:
            raise self._broken("the connection ended") from None

    def _broken(self, why: str) -> SftpFailed:
        """What ssh itself says is the better reason."""
        deadline = time.monotonic() + 1
        while self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        self._words.seek(0)
        told = self._words.read(4096).decode(errors="replace").strip().splitlines()
        return SftpFailed(f"{self._where}: {told[-1][:300] if told else why}")


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack(">I", len(raw)) + raw


def _write(handle: bytes, at: int, piece: bytes) -> bytes:
    return handle + struct.pack(">QI", at, len(piece)) + piece


def _strings(body: bytes, at: int) -> Iterator[bytes]:
    while at + 4 <= len(body):
        (length,) = struct.unpack_from(">I", body, at)
        yield body[at + 4 : at + 4 + length]
        at += 4 + length


def _attributes(body: bytes, at: int) -> tuple[Attributes, int]:
    """Attributes, and where they end."""
    try:
        (flags,) = struct.unpack_from(">I", body, at)
        at, size, mode, modified = at + 4, -1, 0, 0
        if flags & 1:
            (size,), at = struct.unpack_from(">Q", body, at), at + 8
        if flags & 2:
            at += 8
        if flags & 4:
            (mode,), at = struct.unpack_from(">I", body, at), at + 4
        if flags & 8:
            (modified,), at = struct.unpack_from(">4xI", body, at), at + 8
        if flags & 0x80000000:
            (count,), at = struct.unpack_from(">I", body, at), at + 4
            for _ in range(2 * min(count, 64)):
                at += 4 + int(struct.unpack_from(">I", body, at)[0])
    except struct.error:
        raise SftpFailed("the sftp server answers with something else") from None
    return Attributes(size, mode, modified), at


def _entries(body: bytes) -> Iterator[tuple[str, Attributes]]:
    try:
        (count,) = struct.unpack_from(">I", body, 0)
        at = 4
        for _ in range(count):
            name, shown = _pair(body, at)
            at += 8 + len(name) + len(shown)
            found, at = _attributes(body, at)
            yield os.fsdecode(name), found
    except struct.error:
        raise SftpFailed("the sftp server answers with something else") from None


def _pair(body: bytes, at: int) -> tuple[bytes, bytes]:
    strings = _strings(body, at)
    return next(strings, b""), next(strings, b"")
