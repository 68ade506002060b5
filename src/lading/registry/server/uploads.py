"""Uploads on their way: each a file that grows, bound to one repository and one user.

What was received stays through a restart of the server, so that a client can go on where
it was; what nobody went on with is swept.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from lading.errors import Conflict, Invalid, NotFound
from lading.linux.files import write_back
from lading.oci.digest import Digest
from lading.registry.server.blobs import Blobs
from lading.store.database import Database

_ID = re.compile(r"[0-9a-f]{48}")
_WRITE_BACK = 8 * 1024 * 1024
_PIECE = 1024 * 1024
GRACE = 300.0  # seconds for which a push may rely on a blob that no manifest names yet


class UploadUnknown(NotFound):
    """Raised for an upload that is not there, or is not this repository's and user's."""

    def __init__(self) -> None:
        super().__init__("blob upload unknown to registry")


class UploadBusy(Conflict):
    """Raised while another request writes to the same upload."""

    def __init__(self) -> None:
        super().__init__("another request is writing to this upload")


class DigestMismatch(Invalid):
    """Raised where what was uploaded does not have the digest it was announced with."""

    def __init__(self, expected: Digest, found: Digest) -> None:
        super().__init__(
            f"provided digest did not match uploaded content: expected {expected}, found {found}"
        )


class Upload:
    """One blob on its way; a request claims it before it writes."""

    def __init__(self, id: str, repository: str, user: str, part: Path) -> None:
        self.id, self.repository, self.user, self.part = id, repository, user, part
        self._claim = threading.Lock()
        self._file = part.open("a+b", buffering=0)
        self._algorithm = "sha256"
        self._hash = hashlib.sha256()
        self._flushed = 0
        self.size = 0
        self._catch_up()

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold it against other requests; UploadBusy, UploadUnknown when it has ended."""
        if not self._claim.acquire(blocking=False):
            raise UploadBusy
        try:
            if self._file.closed:
                raise UploadUnknown
            yield
        finally:
            self._claim.release()

    def expect(self, digest: Digest) -> None:
        """Hash by *digest*'s algorithm from now on; what is here already is hashed again."""
        if digest.algorithm != self._algorithm:
            self._algorithm = digest.algorithm
            self._catch_up()

    def append(self, pieces: Sequence[bytes]) -> None:
        """Write *pieces* at the end; OSError leaves what was written before."""
        for piece in pieces:
            view = memoryview(piece)
            while view:
                written = self._file.write(view)
                self._hash.update(view[:written])
                self.size += written
                view = view[written:]
        if self.size - self._flushed >= _WRITE_BACK:
            write_back(self._file.fileno(), self._flushed, self.size - self._flushed)
            self._flushed = self.size

    def sync(self) -> None:
        """Make what was received survive a power cut."""
        os.fdatasync(self._file.fileno())

    def check(self, expected: Digest) -> None:
        """DigestMismatch unless that is what was received."""
        self.expect(expected)
        found = Digest(f"{self._algorithm}:{self._hash.hexdigest()}")
        if found != expected:
            raise DigestMismatch(expected, found)

    def close(self) -> None:
        self._file.close()

    def _catch_up(self) -> None:
        self._hash = hashlib.new(self._algorithm)
        self.size = 0
        while piece := os.pread(self._file.fileno(), _PIECE, self.size):
            self._hash.update(piece)
            self.size += len(piece)


class Uploads:
    """All uploads of one registry."""

    def __init__(
        self,
        folder: Path,
        database: Database,
        blobs: Blobs,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._database, self._blobs, self._clock = folder, database, blobs, clock
        self._lock = threading.Lock()
        self._open: dict[str, Upload] = {}

    def begin(self, repository: str, user: str) -> Upload:
        """A new upload, whose ID nobody can guess."""
        id = token_hex(24)
        upload = Upload(id, repository, user, self._folder / id)
        now = self._clock()
        with self._database.transaction() as rows:
            rows.execute(
                "INSERT INTO uploads VALUES (?, ?, ?, ?, ?)", (id, repository, user, now, now)
            )
        with self._lock:
            self._open[id] = upload
        return upload

    def find(self, id: str, repository: str, user: str) -> Upload:
        """The upload *id* of that repository and user; UploadUnknown for any other."""
        if not _ID.fullmatch(id):
            raise UploadUnknown
        owned = self._database.query(
            "SELECT 1 FROM uploads WHERE id = ? AND repository = ? AND user = ?",
            (id, repository, user),
        )
        if not owned:
            raise UploadUnknown
        with self._lock:
            if id not in self._open:
                self._open[id] = Upload(id, repository, user, self._folder / id)
            return self._open[id]

    def touch(self, upload: Upload) -> None:
        """Note that the client goes on."""
        with self._database.transaction() as rows:
            rows.execute("UPDATE uploads SET touched = ? WHERE id = ?", (self._clock(), upload.id))

    def finish(self, upload: Upload, digest: Digest) -> None:
        """Make it a blob of its repository, durable on return; DigestMismatch ends it too."""
        try:
            upload.check(digest)
            upload.sync()
            self._blobs.keep(upload.part, digest, upload.repository, upload.user)
        finally:
            self.forget(upload)

    def forget(self, upload: Upload) -> None:
        """End the upload, and free what it had; idempotent."""
        with self._lock:
            self._open.pop(upload.id, None)
        upload.close()
        self._drop(upload.id, upload.repository)

    def close(self) -> None:
        """Let go of the files; the uploads stay."""
        with self._lock:
            for upload in self._open.values():
                upload.close()
            self._open.clear()

    def sweep(self, older_than: float) -> int:
        """End the uploads that nobody went on with for so many seconds; how many."""
        limit = self._clock() - older_than
        stale = self._database.query(
            "SELECT id, repository FROM uploads WHERE touched < ?", (limit,)
        )
        for id, repository in stale:
            with self._lock:
                upload = self._open.pop(id, None)
            if upload is not None:
                upload.close()
            self._drop(id, repository)
        self._sweep_files()
        return len(stale)

    def _drop(self, id: str, repository: str) -> None:
        """Remove file and row: on a full disk the row cannot go before the file has made room.

        What the push saw since it began counts as seen just now.
        """
        (self._folder / id).unlink(missing_ok=True)
        with self._database.transaction() as rows:
            rows.execute(
                """
                UPDATE links SET seen = ? WHERE repository = ? AND seen >= (
                    SELECT began - ? FROM uploads WHERE id = ?
                )
                """,
                (self._clock(), repository, GRACE, id),
            )
            rows.execute("DELETE FROM uploads WHERE id = ?", (id,))

    def _sweep_files(self) -> None:
        """Files without a row: left by a crash between the two."""
        known = {id for (id,) in self._database.query("SELECT id FROM uploads")}
        for file in self._folder.iterdir():
            with self._lock:
                stray = file.name not in known and file.name not in self._open
            if stray and self._clock() - file.stat().st_mtime > GRACE:
                file.unlink(missing_ok=True)
