"""A directory on another host as a shelf: all that it wants there is sshd."""

from __future__ import annotations

import io
import re
import stat
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from secrets import token_hex
from typing import BinaryIO
from urllib.parse import unquote

from lading.backup.sftp import NoSuchPath, PathRefused, Sftp
from lading.backup.shelf import Item, NotOnShelf
from lading.errors import Invalid, LadingError

_OWN = ".lading"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")
_ADDRESS = re.compile(r"\[([0-9A-Fa-f:.]+)\]")
_AUTHORITY = re.compile(r"(?:([^@/]+)@)?(\[[^\]/]*\]|[^:@/]+)(?::([0-9]{1,5}))?")
_MOST_READ = 512 * 1024 * 1024


class InvalidHost(Invalid):
    """Raised for text that names no directory on a host."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"invalid backup target {text[:200]!r}: ssh://[USER@]HOST[:PORT]/DIRECTORY is wanted"
        )


@dataclass(frozen=True, slots=True)
class Folder:
    """Where it is; *path* is absolute."""

    host: str
    path: str
    user: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Folder:
        """Take ``ssh://[user@]host[:port]/directory``: nothing that ssh reads as an option."""
        authority, slash, path = text.removeprefix("ssh://").partition("/")
        found = _AUTHORITY.fullmatch(authority)
        path = unquote(path).rstrip("/")
        if found is None or not slash or not path or "\0" in path or "\n" in path:
            raise InvalidHost(text)
        user, host, port = found[1] or "", found[2], int(found[3] or 0)
        address = _ADDRESS.fullmatch(host)
        if address is None and not _NAME.fullmatch(host):
            raise InvalidHost(text)
        if (user and not _NAME.fullmatch(user)) or port > 65535:
            raise InvalidHost(text)
        if any(part in ("", ".", "..") for part in path.split("/")):
            raise InvalidHost(text)
        return cls(address[1] if address else host, f"/{path}", user, port)

    @property
    def identity(self) -> str:
        user = f"{self.user}@" if self.user else ""
        return f"ssh://{user}{self.host}:{self.port or 22}{self.path}"


class RemoteFolder:
    """The `Shelf` that is a directory there; the connection ends with it."""

    def __init__(self, folder: Folder) -> None:
        self._top = folder.path
        self._sftp = Sftp(folder.host, user=folder.user, port=folder.port)
        weakref.finalize(self, self._sftp.close)

    def prepare(self, folders: Sequence[str]) -> None:
        for path in (self._top, *(f"{self._top}/{folder}" for folder in folders)):
            parts = path.strip("/").split("/")
            for count in range(1, len(parts) + 1):
                self._make("/" + "/".join(parts[:count]))

    def read(self, key: str) -> bytes:
        with _told(key):
            return self._sftp.read(self._path(key), 0, _MOST_READ)

    def piece(self, key: str, at: int, length: int) -> bytes:
        with _told(key):
            return self._sftp.read(self._path(key), at, length)

    def write(self, key: str, stream: BinaryIO, size: int) -> None:
        with self._part(stream) as part:
            self._sftp.replace(part, self._path(key))

    def claim(self, key: str, content: bytes) -> bool:
        with self._part(io.BytesIO(content)) as part:
            try:
                self._sftp.rename(part, self._path(key))
            except PathRefused:
                if self.size(key) is None:
                    raise
                return False
        return True

    def size(self, key: str) -> int | None:
        try:
            found = self._sftp.stat(self._path(key))
        except NoSuchPath:
            return None
        return found.size if stat.S_ISREG(found.mode) else None

    def items(self, folder: str) -> Sequence[Item]:
        try:
            found = self._sftp.entries(self._path(folder))
        except NoSuchPath:
            return ()
        begin = f"{folder}/" if folder else ""
        return [
            Item(f"{begin}{name}", about.size, about.modified)
            for name, about in found
            if name not in (".", "..") and (not folder or stat.S_ISREG(about.mode))
        ]

    def remove(self, key: str) -> None:
        with suppress(NoSuchPath):
            self._sftp.remove(self._path(key))

    @contextmanager
    def _part(self, stream: BinaryIO) -> Iterator[str]:
        """A file that is whole before it has its name; it is gone afterwards."""
        part = self._path(f"{_OWN}/part-{token_hex(8)}")
        try:
            self._sftp.write(part, stream)
            yield part
        except BaseException:
            with suppress(LadingError):
                self._sftp.remove(part)
            raise
        with suppress(NoSuchPath):  # it has its name, mostly
            self._sftp.remove(part)

    def _make(self, path: str) -> None:
        """A directory, unless there is one."""
        for tried in (False, True):
            with suppress(NoSuchPath):
                if stat.S_ISDIR(self._sftp.stat(path).mode):
                    return
                raise PathRefused(f"{path} is not a directory")
            if not tried:
                with suppress(PathRefused):  # another was faster
                    self._sftp.make_directory(path)

    def _path(self, key: str) -> str:
        return f"{self._top}/{key}".rstrip("/")


@contextmanager
def _told(key: str) -> Iterator[None]:
    try:
        yield
    except NoSuchPath:
        raise NotOnShelf(key) from None
