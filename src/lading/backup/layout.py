"""A directory as a place: an OCI layout (image-layout.md), readable by every tool for those.

A blob is written aside, synced and renamed; index.json is replaced last.  Writers lock each
other out only while the index is changed; whoever frees blobs needs the place alone.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO

from lading.backup.place import DamagedAtTarget, Rename
from lading.errors import Conflict, NotFound, Unavailable
from lading.image.oci_layout import REF_NAME, VERSION
from lading.linux.files import fsync_directory, write_durably
from lading.oci import mediatypes
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.oci.documents import MOST_BYTES, array, encode, parse, table
from lading.store.blobs import UnexpectedContent

_INDEX, _LAYOUT, _BLOBS = "index.json", "oci-layout", "blobs"
_OWN = ".lading"  # locks, and blobs that are being written
_PIECE = 256 * 1024
_ALGORITHMS = ("sha256", "sha512")
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NotALayout(Conflict):
    """Raised for a directory that holds something else."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(
            f"{path} is not a backup target: it is not empty, and holds no OCI layout; "
            "name another directory, it is made when it is missing"
        )


class NoSuchTarget(NotFound):
    """Raised where a target is to be read that does not exist."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(f"no such backup target: {path}")


class KeptByNames(Conflict):
    """Raised where a directory is changed that is a target over ssh, or came out of a bucket."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} has names of its own, as targets over ssh and in buckets have: here it can "
            "be read; back up to it as ssh:// or s3://, or name another directory"
        )


class InUse(Conflict):
    """Raised where a place is wanted alone while others write."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(f"{path} is in use by a backup: try again when it has ended")


class Layout:
    """The `Place` that is a directory."""

    def __init__(self, path: Path, *, make: bool = False) -> None:
        """NotALayout; NoSuchTarget unless *make*, which makes it."""
        self._path = path
        self._blobs, self._own = path / _BLOBS, path / _OWN
        if make and (self._own / "names").exists():
            raise KeptByNames(path)
        if make:
            self._make()
        elif not (path / _LAYOUT).is_file():
            raise NotALayout(path) if path.is_dir() and any(path.iterdir()) else NoSuchTarget(path)

    def open(self, descriptor: Descriptor) -> BinaryIO:
        try:
            file = os.open(self._blob(descriptor.digest), _READ)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP):
                raise DamagedAtTarget(descriptor, "is missing") from None
            raise Unavailable(f"{self._path} cannot be read: {error.strerror}") from error
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise DamagedAtTarget(descriptor, "is not a file")
        return open(file, "rb")

    def has(self, descriptor: Descriptor) -> bool:
        try:
            found = self._blob(descriptor.digest).lstat()
        except FileNotFoundError:
            return False
        return stat.S_ISREG(found.st_mode) and found.st_size == descriptor.size

    def add(self, descriptor: Descriptor, stream: BinaryIO) -> None:
        part = self._own / f"part-{token_hex(8)}"
        try:
            self._write(part, descriptor, stream)
            blob = self._blob(descriptor.digest)
            part.rename(blob)
            fsync_directory(blob.parent)
        except OSError as error:
            raise self._unwritable(error) from error
        finally:
            part.unlink(missing_ok=True)

    def names(self) -> Mapping[str, tuple[Descriptor, str]]:
        found = {}
        for row in self._rows():
            descriptor = Descriptor.parse(row, "index")
            tag = descriptor.annotations.get(REF_NAME) or f"@{descriptor.digest}"
            found[tag] = (descriptor, str(row.get("artifactType") or ""))
        return found

    def rename(self, change: Rename, artifact_type: str) -> None:
        if (self._own / "names").exists():
            raise KeptByNames(self._path)
        with self._locked("index", fcntl.LOCK_EX):
            rows = self._rows()
            wanted = change({tag: descriptor for tag, (descriptor, _) in self.names().items()})
            kept = [row for row in rows if tag_in(row) not in wanted]
            for tag, descriptor in wanted.items():
                if descriptor is not None:
                    kept.append(row(tag, descriptor, artifact_type))
            self._write_index(kept)

    @contextmanager
    def held(self, *, alone: bool = False) -> Iterator[None]:
        how = fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH
        with self._locked("blobs", how):
            yield

    def sweep(self, needed: Collection[Digest]) -> tuple[int, int]:
        count = freed = 0
        for part in self._own.glob("part-*"):
            part.unlink(missing_ok=True)
        kept = {f"{digest.algorithm}/{digest.hex}" for digest in needed}
        for path in self._blobs.glob("sha*/*"):
            if f"{path.parent.name}/{path.name}" not in kept:
                size = path.lstat().st_size
                path.unlink(missing_ok=True)
                count, freed = count + 1, freed + size
        return count, freed

    def _make(self) -> None:
        path = self._path
        if path.is_dir() and not (path / _LAYOUT).exists():
            others = [each for each in path.iterdir() if not _is_own(each.name)]
            if others:
                raise NotALayout(path)
        for folder in (path, self._own, self._blobs, self._blobs / "sha256"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked("index", fcntl.LOCK_EX):
            if not (path / _INDEX).exists():
                self._write_index([])
            if not (path / _LAYOUT).exists():
                write_durably(path / _LAYOUT, encode({"imageLayoutVersion": VERSION}))
        fsync_directory(path.parent)

    def _blob(self, digest: Digest) -> Path:
        return self._blobs / digest.algorithm / digest.hex

    def _write(self, part: Path, descriptor: Descriptor, stream: BinaryIO) -> None:
        digest = descriptor.digest
        hashed, size = hashlib.new(digest.algorithm), 0
        (self._blobs / digest.algorithm).mkdir(mode=0o700, exist_ok=True)
        with part.open("xb", buffering=0) as file:
            while piece := stream.read(_PIECE):
                hashed.update(piece)
                size += len(piece)
                view = memoryview(piece)
                while view:
                    view = view[file.write(view) :]
            found = Digest(f"{digest.algorithm}:{hashed.hexdigest()}")
            if found != digest or size != descriptor.size:
                raise UnexpectedContent(digest, found)
            os.fsync(file.fileno())

    def _rows(self) -> list[dict[str, Any]]:
        try:
            content = (self._path / _INDEX).read_bytes()
        except FileNotFoundError:
            return []
        document = parse(content, _INDEX, most=4 * MOST_BYTES)
        rows = array(document.get("manifests"), _INDEX, "manifests")
        return [table(row, _INDEX, "manifest") for row in rows]

    def _write_index(self, rows: list[dict[str, Any]]) -> None:
        try:
            write_durably(self._path / _INDEX, index(rows))
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> Unavailable:
        return Unavailable(f"{self._path} cannot be written: {error.strerror}")

    @contextmanager
    def _locked(self, what: str, how: int) -> Iterator[None]:
        with contextlib.suppress(OSError):
            self._own.mkdir(mode=0o700, exist_ok=True)
        try:
            file = os.open(self._own / f"{what}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno == errno.EROFS and how == fcntl.LOCK_SH:
                yield  # nobody can write there
                return
            raise self._unwritable(error) from error
        try:
            try:
                fcntl.flock(file, how)
            except BlockingIOError:
                raise InUse(self._path) from None
            yield
        finally:
            os.close(file)


def _is_own(name: str) -> bool:
    """Whether a target that is being made has such a file."""
    being_written = (f".{_INDEX}.", f".{_LAYOUT}.")
    return name in (_OWN, _BLOBS, _INDEX, _LAYOUT) or name.startswith(being_written)


def index(rows: list[dict[str, Any]]) -> bytes:
    """The document index.json."""
    document = {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": rows}
    return encode(document)


def tag_in(row: Mapping[str, Any]) -> str:
    """The tag of a row of the index; empty where it has none."""
    return str(table(row.get("annotations"), _INDEX, "annotations").get(REF_NAME) or "")


def row(tag: str, descriptor: Descriptor, artifact_type: str) -> dict[str, Any]:
    """The row of the index for a tag."""
    plain = Descriptor(descriptor.media_type, descriptor.digest, descriptor.size, {REF_NAME: tag})
    document = plain.document()
    if artifact_type:
        document["artifactType"] = artifact_type
    return document
