"""Bytes by digest, on disk.

A blob appears whole or not at all: it is written to staging, hashed on the way, synced,
and renamed to its digest.  Readers are told when what they read is not what was kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from lading.errors import Corrupt, Invalid, NotFound
from lading.linux.files import fsync_directory, write_back
from lading.oci.digest import Digest

_LOG = logging.getLogger(__name__)
_WRITE_BACK = 8 * 1024 * 1024


class BlobNotFound(NotFound):
    """Raised for a digest that is not in the store."""

    def __init__(self, digest: Digest) -> None:
        super().__init__(f"no such blob: {digest}")
        self.digest = digest


class DamagedBlob(Corrupt):
    """Raised by a reader at the end of a blob that does not have its digest any more."""

    def __init__(self, digest: Digest) -> None:
        super().__init__(f"blob {digest} is damaged on disk: it is put aside, get it again")
        self.digest = digest


class UnexpectedContent(Invalid):
    """Raised where bytes do not have the digest or size that they were announced with."""

    def __init__(self, expected: Digest, found: Digest) -> None:
        super().__init__(f"content does not match its digest: expected {expected}, found {found}")


class BlobStore:
    """The blobs below ROOT/blobs, with their staging and trash beside them."""

    def __init__(self, blobs: Path, staging: Path, trash: Path) -> None:
        self._blobs, self._staging, self._trash = blobs, staging, trash
        for folder in (blobs, staging, trash):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (blobs / "sha256" / "ff").exists():
            self._lay_out(blobs / "sha256")

    def _lay_out(self, folder: Path) -> None:
        """Make the folders beforehand, so that a new blob syncs one name, not three."""
        for byte in range(256):
            (folder / f"{byte:02x}").mkdir(mode=0o700, parents=True, exist_ok=True)
        fsync_directory(folder)
        fsync_directory(self._blobs)

    def path(self, digest: Digest) -> Path:
        """Where the blob lies, or would lie."""
        return self._blobs / digest.algorithm / digest.hex[:2] / digest.hex

    def has(self, digest: Digest) -> bool:
        return self.path(digest).exists()

    def size(self, digest: Digest) -> int:
        """Bytes as stored; BlobNotFound."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            raise BlobNotFound(digest) from None

    def open(self, digest: Digest) -> BinaryIO:
        """A reader that raises DamagedBlob at its end if the content is not *digest*."""
        try:
            raw = self.path(digest).open("rb", buffering=0)
        except FileNotFoundError:
            raise BlobNotFound(digest) from None
        return io.BufferedReader(_VerifiedReader(self, digest, raw), 256 * 1024)

    def read(self, digest: Digest) -> bytes:
        """The whole blob, verified; for documents."""
        with self.open(digest) as stream:
            return stream.read()

    def is_whole(self, digest: Digest) -> bool:
        """Whether the blob is here and every byte of it is what was kept; it stays as it is."""
        try:
            with self.path(digest).open("rb", buffering=0) as file:
                return hashlib.file_digest(file, digest.algorithm).hexdigest() == digest.hex
        except OSError:
            return False

    def write(self) -> BlobWriter:
        """A writer for a new blob; use it as a context, and commit it."""
        return BlobWriter(self, self._staging / f"blob-{token_hex(8)}")

    def add(self, content: bytes) -> Digest:
        """Keep *content*, durable on return."""
        digest = Digest.of(content)
        if self.has(digest) and self.path(digest).read_bytes() == content:
            return digest
        with self.write() as writer:
            writer.write(content)
            return writer.commit(digest)

    def link(self, file: Path, digest: Digest) -> None:
        """Keep *file*, durable and known to be *digest*, under a second name."""
        part = self._staging / f"blob-{token_hex(8)}"
        part.hardlink_to(file)
        try:
            self.place(part, digest)
        finally:
            with contextlib.suppress(FileNotFoundError):
                part.unlink()  # rename(2) leaves both where they were the same file

    def remove(self, digest: Digest) -> None:
        """Free the blob; idempotent."""
        gone = self._trash / f"blob-{token_hex(8)}"
        with contextlib.suppress(FileNotFoundError):
            self.path(digest).rename(gone)
            gone.unlink()

    def quarantine(self, digest: Digest) -> None:
        """Put a damaged blob aside, so that it can be had again."""
        aside = self._blobs / "damaged"
        aside.mkdir(mode=0o700, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self.path(digest).rename(aside / f"{digest.hex}-{token_hex(4)}")
            _LOG.error("blob %s is damaged; it now lies in %s", digest, aside)

    def all(self) -> Iterator[Digest]:
        """Every blob that is here, in no order."""
        for path in self._blobs.glob("sha*/??/*"):
            with contextlib.suppress(Invalid):
                yield Digest.parse(f"{path.parent.parent.name}:{path.name}")

    def place(self, part: Path, digest: Digest) -> None:
        """Give the synced file *part* its name; after this the blob is there for good."""
        path = self.path(digest)
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fsync_directory(path.parent.parent)
            fsync_directory(self._blobs)
        part.rename(path)
        fsync_directory(path.parent)


class BlobWriter:
    """Bytes on their way to becoming a blob; gone without a trace unless committed."""

    def __init__(self, store: BlobStore, part: Path) -> None:
        self._store, self._part = store, part
        self._file = part.open("xb", buffering=0)
        self._sha256 = hashlib.sha256()
        self._size = self._flushed = 0

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._size

    @property
    def digest(self) -> Digest:
        """Of the bytes written so far."""
        return Digest("sha256:" + self._sha256.hexdigest())

    def write(self, piece: bytes | memoryview) -> int:
        """Append; raises OSError (disk full) with nothing kept."""
        self._sha256.update(piece)
        view = memoryview(piece)
        while view:
            view = view[self._file.write(view) :]
        self._size += len(piece)
        if self._size - self._flushed >= _WRITE_BACK:
            write_back(self._file.fileno(), self._flushed, self._size - self._flushed)
            self._flushed = self._size
        return len(piece)

    def commit(self, expected: Digest | None = None) -> Digest:
        """Make it a blob, durable on return; UnexpectedContent when it is not *expected*."""
        digest = self.digest
        if expected is not None and expected.algorithm == "sha512":
            digest = self._sha512()
        if expected is not None and digest != expected:
            raise UnexpectedContent(expected, digest)
        os.fsync(self._file.fileno())
        self._file.close()
        self._store.place(self._part, digest)
        return digest

    def _sha512(self) -> Digest:
        with self._part.open("rb") as stream:
            return Digest("sha512:" + hashlib.file_digest(stream, "sha512").hexdigest())

    def __enter__(self) -> BlobWriter:
        return self

    def __exit__(self, *failure: object) -> None:
        self._file.close()
        with contextlib.suppress(FileNotFoundError):
            self._part.unlink()


class _VerifiedReader(io.RawIOBase):
    """Hash what is read from the start; complain at the end."""

    def __init__(self, store: BlobStore, digest: Digest, raw: io.FileIO) -> None:
        self._store, self._digest, self._raw = store, digest, raw
        self._hash = hashlib.new(digest.algorithm)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]  # any writable buffer, as io says
        read = self._raw.readinto(view) or 0
        self._hash.update(view[:read])
        if read == 0 and self._hash.hexdigest() != self._digest.hex:
            self._store.quarantine(self._digest)
            raise DamagedBlob(self._digest)
        return read

    def close(self) -> None:
        self._raw.close()
        super().close()
