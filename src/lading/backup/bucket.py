"""A bucket of object storage as a shelf, spoken to by obstore."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, BinaryIO

from lading.backup.shelf import Item, NotOnShelf
from lading.errors import Denied, Invalid, Unavailable

if TYPE_CHECKING:
    from obstore.store import S3Store

OPTIONS = frozenset({
    "access_key_id", "secret_access_key", "session_token", "region", "endpoint", "skip_signature",
})  # fmt: skip
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9_.=+-]+(?:/[A-Za-z0-9_.=+-]+)*")
_RETRY = {"max_retries": 5, "retry_timeout": timedelta(minutes=2)}
_MOST_WORDS = 300
_WHOLE = 80 * 1024 * 1024  # bytes that are sent in one request: packs are no longer
_REGION = "us-east-1"


class InvalidBucket(Invalid):
    """Raised for text that names no bucket."""

    def __init__(self, text: str) -> None:
        super().__init__(f"invalid backup target {text[:200]!r}: s3://BUCKET/PREFIX is wanted")


class Bucket:
    """The `Shelf` below a prefix of a bucket."""

    def __init__(self, bucket: str, prefix: str, options: Mapping[str, str]) -> None:
        """*options* are obstore's; what they do not say this process's environment does."""
        from obstore.store import S3Store

        told = {name: value for name, value in options.items() if name in OPTIONS and value}
        plain = told.get("endpoint", "").startswith("http://")
        self._where = f"s3://{bucket}/{prefix}".rstrip("/")
        config: Any = {"region": _REGION, **told}
        retry: Any = _RETRY
        self._store: S3Store = S3Store(
            bucket,
            prefix=prefix or None,
            config=config,
            client_options={"allow_http": plain},
            retry_config=retry,
        )

    def prepare(self, folders: Sequence[str]) -> None:
        """Nothing: there are no folders in a bucket."""

    def read(self, key: str) -> bytes:
        import obstore

        with self._told(key):
            return bytes(obstore.get(self._store, key).bytes())

    def piece(self, key: str, at: int, length: int) -> bytes:
        import obstore
        from obstore.exceptions import GenericError

        with self._told(key):
            try:
                return bytes(obstore.get_range(self._store, key, start=at, length=length))
            except GenericError as error:
                if "non-partial" not in str(error):
                    raise
            return bytes(obstore.get(self._store, key).bytes())[at : at + length]  # no ranges there

    def write(self, key: str, stream: BinaryIO, size: int) -> None:
        import obstore

        with self._told(key):
            if size <= _WHOLE:
                obstore.put(self._store, key, stream.read(), use_multipart=False)
            else:
                obstore.put(self._store, key, stream)

    def claim(self, key: str, content: bytes) -> bool:
        """A conditional put, and a look before it for services that do not heed the condition."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        if self.size(key) is not None:
            return False
        try:
            with self._told(key):
                obstore.put(self._store, key, content, mode="create", use_multipart=False)
        except (AlreadyExistsError, PreconditionError):
            return False
        return True

    def size(self, key: str) -> int | None:
        import obstore

        try:
            with self._told(key):
                return int(obstore.head(self._store, key)["size"])
        except NotOnShelf:
            return None

    def items(self, folder: str) -> Sequence[Item]:
        import obstore

        prefix = folder or None
        with self._told(folder):
            return [
                Item(found["path"], found["size"], found["last_modified"].timestamp())
                for page in obstore.list(self._store, prefix)
                for found in page
            ]

    def remove(self, key: str) -> None:
        import obstore

        try:
            with self._told(key):
                obstore.delete(self._store, key)
        except NotOnShelf:
            return

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        """What obstore raises, as errors of ours; a lost race stays what it is."""
        from obstore import exceptions as raised

        try:
            yield
        except (FileNotFoundError, raised.NotFoundError):
            raise NotOnShelf(key) from None
        except (raised.AlreadyExistsError, raised.PreconditionError):
            raise
        except (raised.PermissionDeniedError, raised.UnauthenticatedError) as error:
            raise Denied(f"{self._where}: {_words(error)}") from None
        except (raised.BaseError, OSError) as error:
            raise Unavailable(f"{self._where}: {_words(error)}") from None


def split(text: str) -> tuple[str, str]:
    """Bucket and prefix of ``s3://bucket/prefix``; InvalidBucket."""
    bucket, _, prefix = text.removeprefix("s3://").partition("/")
    prefix = prefix.rstrip("/")
    dotted = any(part.strip(".") == "" for part in prefix.split("/")) if prefix else False
    if not _NAME.fullmatch(bucket) or dotted or (prefix and not _PREFIX.fullmatch(prefix)):
        raise InvalidBucket(text)
    return bucket, prefix


def _words(error: Exception) -> str:
    return str(error).partition("\n")[0][:_MOST_WORDS]
