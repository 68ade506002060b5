"""Tars made for tests: a few calls, and the bytes of a layer."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping


class Tarball:
    """A tar being made, member by member, in PAX format."""

    def __init__(self) -> None:
        self._out = io.BytesIO()
        self._tar = tarfile.TarFile(
            fileobj=self._out, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape"
        )

    @property
    def content(self) -> bytes:
        """The tar's bytes; nothing can be added afterwards."""
        self._tar.close()
        return self._out.getvalue()

    def directory(self, name: str, mode: int = 0o755, **more: object) -> Tarball:
        return self._add(name, tarfile.DIRTYPE, mode, **more)

    def file(self, name: str, content: bytes = b"", mode: int = 0o644, **more: object) -> Tarball:
        return self._add(name, tarfile.REGTYPE, mode, content, **more)

    def symlink(self, name: str, target: str) -> Tarball:
        return self._add(name, tarfile.SYMTYPE, 0o777, linkname=target)

    def link(self, name: str, target: str) -> Tarball:
        return self._add(name, tarfile.LNKTYPE, linkname=target)

    def device(self, name: str, major: int, minor: int, *, block: bool = False) -> Tarball:
        kind = tarfile.BLKTYPE if block else tarfile.CHRTYPE
        return self._add(name, kind, 0o600, devmajor=major, devminor=minor)

    def fifo(self, name: str) -> Tarball:
        return self._add(name, tarfile.FIFOTYPE, 0o600)

    def whiteout(self, name: str) -> Tarball:
        above, slash, last = name.rpartition("/")
        return self.file(f"{above}{slash}.wh.{last}")

    def opaque(self, directory: str) -> Tarball:
        return self.file(f"{directory}/.wh..wh..opq")

    def _add(
        self,
        name: str,
        kind: bytes,
        mode: int = 0o644,
        content: bytes = b"",
        *,
        xattrs: Mapping[str, str] | None = None,
        mtime: str = "1600000000.123456789",
        **fields: object,
    ) -> Tarball:
        member = tarfile.TarInfo(name)
        member.type, member.mode, member.size = kind, mode, len(content)
        for field, value in fields.items():
            setattr(member, field, value)
        member.pax_headers = {f"SCHILY.xattr.{k}": v for k, v in (xattrs or {}).items()}
        member.pax_headers["mtime"] = mtime
        self._tar.addfile(member, io.BytesIO(content))
        return self
