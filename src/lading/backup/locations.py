"""TARGET and TARGET:REF as people write them, and the places they mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lading.backup import bucket as buckets
from lading.backup.bucket import Bucket
from lading.backup.layout import Layout
from lading.backup.place import Place
from lading.backup.remote_folder import Folder, RemoteFolder
from lading.backup.repository import RegistryPlace
from lading.backup.shelf import Shelf
from lading.backup.shelved import Shelved
from lading.errors import Invalid, Unsupported
from lading.oci.reference import Reference
from lading.registry import hosts
from lading.registry.credentials import from_entry
from lading.registry.remotes import Remotes

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LATER = {"docker://": "Docker engines"}


class InvalidLocation(Invalid):
    """Raised for text that names no target, or no backup at one."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(f"invalid backup target {text[:200]!r}: {why}")


@dataclass(frozen=True, slots=True)
class Location:
    """A target: *text* as it was written, and what of the four kinds it is.

    *logins* are those that came with it, by registry; ``s3`` has the options of a bucket.
    """

    text: str
    path: Path | None = None
    repository: Reference | None = None
    bucket: tuple[str, str] | None = None
    folder: Folder | None = None
    logins: Mapping[str, Mapping[str, str]] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def parse(cls, text: str, logins: Mapping[str, Mapping[str, str]] | None = None) -> Location:
        """Take ``/directory``, ``oci:/directory``, ``REGISTRY/repository``, ``s3://``, ``ssh://``.

        InvalidLocation, InvalidBucket, InvalidHost; Unsupported for others.
        """
        if text.startswith("s3://"):
            return cls(text, bucket=buckets.split(text), logins=logins or {})
        if text.startswith("ssh://"):
            return cls(text, folder=Folder.parse(text))
        for prefix, what in _LATER.items():
            if text.startswith(prefix):
                raise Unsupported(f"{what} are not supported as backup targets yet: {text[:200]}")
        path = text.removeprefix("oci:")
        if "\0" in path or not path:
            raise InvalidLocation(text, "a directory is wanted")
        if path.startswith("/"):
            return cls(text, Path(path))
        if path == text and _is_registry(path):
            return cls(text, repository=_repository(text), logins=logins or {})
        raise InvalidLocation(text, "an absolute path is wanted")

    @property
    def identity(self) -> str:
        """The same for every way of writing it."""
        if self.repository is not None:
            return self.repository.repository
        if self.bucket is not None:
            return f"s3://{'/'.join(self.bucket)}@{self.logins.get('s3', {}).get('endpoint', '')}"
        if self.folder is not None:
            return self.folder.identity
        return str(self._directory.resolve())

    def open(self, *, make: bool = False, remotes: Remotes | None = None) -> Place:
        """The place; a directory must be there unless *make*.  NoSuchTarget, NotALayout."""
        if self.bucket is not None:
            shelf: Shelf = Bucket(*self.bucket, self.logins.get("s3", {}))
            return Shelved(shelf, self.text, make=make)
        if self.folder is not None:
            return Shelved(RemoteFolder(self.folder), self.text, make=make)
        if self.repository is None:
            return Layout(self._directory, make=make)
        login = from_entry(self.logins.get(self.repository.domain, {}))
        return RegistryPlace(remotes or Remotes(hosts.load), self.repository, login)

    @property
    def _directory(self) -> Path:
        return self.path or Path(self.text)

    def ref(self, tag: str) -> str:
        """How a backup here is printed; `split` takes it as it is."""
        return f"{self.text}:{tag}"


def split(text: str, logins: Mapping[str, Mapping[str, str]] | None = None) -> tuple[Location, str]:
    """The target and the tag of ``TARGET:REF``, which splits at the last colon; InvalidLocation."""
    target, colon, tag = text.rpartition(":")
    if not colon or not _TAG.fullmatch(tag):
        raise InvalidLocation(text, "TARGET:REF is wanted, as `lading backup ls TARGET` prints it")
    return Location.parse(target, logins), tag


def is_ref(text: str) -> bool:
    """Whether it can only be meant as TARGET:REF."""
    target, colon, tag = text.rpartition(":")
    return bool(colon) and target != "oci" and _TAG.fullmatch(tag) is not None


def tag_of(name: str, stamp: str) -> str:
    """What a container's backup is called."""
    return f"{name[:100].lstrip('.-')}-{stamp}"


def _repository(text: str) -> Reference:
    """The repository, without a tag or digest."""
    if "@" in text or ":" in text.rpartition("/")[2]:
        raise InvalidLocation(text, "a repository is wanted, without a tag or digest")
    return Reference.parse(text)


def _is_registry(text: str) -> bool:
    first, slash, _ = text.partition("/")
    return bool(slash) and ("." in first.strip(".") or ":" in first or first == "localhost")
