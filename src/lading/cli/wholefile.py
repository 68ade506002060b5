"""Write a file that appears whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lading.cli.faults import Fault
from lading.cli.pump import write as write_all

_FLUSHED = 32 * 1024 * 1024  # bytes after which the disk is kept busy, so that the end is near


def write(path: str, pieces: Iterable[bytes]) -> None:
    """Write *pieces* to *path*, which then is durable; as it was before when something fails.

    Devices and pipes are written to as they are.
    """
    check(path)
    mode = _mode(Path(path))
    if mode is not None and not stat.S_ISREG(mode):
        _write_through(path, pieces)
        return
    final = Path(path).resolve()  # a link goes on pointing where it does
    with _replacing(final, 0o600 if mode is None else stat.S_IMODE(mode)) as descriptor:
        written = flushed = 0
        for piece in pieces:
            write_all(descriptor, piece)
            written += len(piece)
            if written - flushed >= _FLUSHED:
                _begin_flush(descriptor, flushed, written - flushed)
                flushed = written


def check(path: str) -> None:
    """Fault, in Docker's words, where nothing can be written at *path*."""
    if Path(path).is_dir():
        raise Fault(f'invalid output path: "{path}" is a directory')
    folder = Path(path).resolve().parent
    if not Path(path).exists() and not folder.is_dir():
        raise Fault(f'invalid output path: directory "{folder}" does not exist')


def _write_through(path: str, pieces: Iterable[bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        for piece in pieces:
            write_all(descriptor, piece)
    finally:
        os.close(descriptor)


@contextmanager
def _replacing(final: Path, mode: int) -> Iterator[int]:
    """A file without a name, which takes *final*'s once the block ends well.

    Even a command that is killed leaves nothing, where the file system has such files.
    """
    making = final.with_name(f".{final.name[:200]}.{os.getpid():x}")
    descriptor, named = _unnamed(making)
    try:
        yield descriptor
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
        if not named:
            # A descriptor to begin at makes Python call linkat(2), which alone follows the link.
            itself = f"/proc/self/fd/{descriptor}"
            os.link(itself, making, src_dir_fd=descriptor, follow_symlinks=True)
        making.rename(final)
    except BaseException:
        with suppress(OSError):
            making.unlink()
        raise
    finally:
        os.close(descriptor)


def _unnamed(making: Path) -> tuple[int, bool]:
    """A new file beside the final one, and whether it had to get the name *making* at once."""
    with suppress(OSError):
        return os.open(making.parent, os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o600), False
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return os.open(making, flags, 0o600), True


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _begin_flush(descriptor: int, start: int, length: int) -> None:
    from lading.linux.files import write_back

    write_back(descriptor, start, length)
