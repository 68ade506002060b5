"""Local archives that ADD unpacks: recognised by their first bytes, unpacked with all caution."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from lading.errors import Invalid
from lading.layer import unpack as layer
from lading.layer.compression import decompress
from lading.layer.read import entries
from lading.linux.paths import open_beneath


def is_archive(root: Path, path: bytes) -> bool:
    """Whether the file is a tar, compressed or not, with something in it."""
    with _opened(root, path) as stream:
        try:
            return next(entries(decompress(stream)), None) is not None
        except (Invalid, EOFError, OSError):
            return False


def unpack(root: Path, path: bytes, target: Path) -> None:
    """Unpack the tar into the directory *target*; InvalidTar."""
    with _opened(root, path) as stream:
        layer.unpack(decompress(stream), target, options=layer.Options(keep_top=True))


def _opened(root: Path, path: bytes) -> BinaryIO:
    root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        return open(open_beneath(root_fd, path, flags), "rb")
    finally:
        os.close(root_fd)
