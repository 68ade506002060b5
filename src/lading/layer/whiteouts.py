"""What becomes of ``.wh.`` members: overlayfs's own form, deletion in place, or nothing.

image-spec layer.md, "Whiteouts": they hide what lower layers brought, and never what
their own layer brings, whatever the order of the members.
"""

from __future__ import annotations

import os
import stat
from typing import Protocol

from lading.layer.entry import InvalidTar
from lading.layer.remove import remove_tree

PREFIX = b".wh."
OPAQUE_MARKER = b".wh..wh..opq"
OPAQUE_XATTR = "trusted.overlay.opaque"

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
Key = tuple[int, int, bytes]


class Whiteouts(Protocol):
    """What an unpacker tells, and asks, about markers; *parent* is an open directory."""

    over_lower_layers: bool  # whether the target holds what lower layers brought

    def handle(self, parent: int, name: bytes) -> bool:
        """Deal with *name* if it is a marker; whether it was one."""
        ...

    def is_one(self, found: os.stat_result) -> bool:
        """Whether that file is the mark this strategy leaves."""
        ...

    def yields(self, parent: int, name: bytes, found: os.stat_result) -> bool:
        """Whether *found*, no directory, gives way to a directory that the layer implies."""
        ...

    def cleared(self, parent: int, name: bytes, found: os.stat_result) -> None:
        """*found* is about to be replaced."""
        ...

    def made_directory(self, directory: int, parent: int, name: bytes) -> None:
        """A new directory is there, before anything is in it."""
        ...

    def made(self, parent: int, name: bytes) -> None:
        """The layer has brought *name*."""
        ...


def chosen(strategy: str) -> Whiteouts:
    """The strategy by its name: ``overlay``, ``apply`` or ``keep``."""
    return {"overlay": _Overlay, "apply": _Apply, "keep": _Keep}[strategy]()


def victim(name: bytes) -> bytes | None:
    """Whose whiteout *name* is; None for AUFS's own bookkeeping.  InvalidTar for nobody's."""
    hidden = name[len(PREFIX) :]
    if hidden in (b"", b".", b".."):
        raise InvalidTar(f"a whiteout of nothing: {name!r}")
    return None if hidden.startswith(PREFIX) else hidden


class _Keep:
    """Members named ``.wh.`` are ordinary files: there are no layers here."""

    over_lower_layers = False

    def handle(self, parent: int, name: bytes) -> bool:
        return False

    def is_one(self, found: os.stat_result) -> bool:
        return False

    def yields(self, parent: int, name: bytes, found: os.stat_result) -> bool:
        return self.is_one(found)

    def cleared(self, parent: int, name: bytes, found: os.stat_result) -> None:
        return

    def made_directory(self, directory: int, parent: int, name: bytes) -> None:
        return

    def made(self, parent: int, name: bytes) -> None:
        return


class _Overlay(_Keep):
    """Character devices 0/0 and opaque directories (kernel, filesystems/overlayfs.rst)."""

    def __init__(self) -> None:
        self._over_whiteout = False

    def handle(self, parent: int, name: bytes) -> bool:
        if not name.startswith(PREFIX):
            return False
        hidden = None if name == OPAQUE_MARKER else victim(name)
        if _is_opaque(parent):
            return True
        if name == OPAQUE_MARKER:
            _make_opaque(parent)
            self._unhide_all(parent)
        elif hidden is not None:
            self._hide(parent, hidden)
        return True

    def is_one(self, found: os.stat_result) -> bool:
        return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0

    def cleared(self, parent: int, name: bytes, found: os.stat_result) -> None:
        self._over_whiteout = self.is_one(found)

    def made_directory(self, directory: int, parent: int, name: bytes) -> None:
        if self._over_whiteout:  # what lies below is gone, and this directory is new
            _make_opaque(directory)

    def made(self, parent: int, name: bytes) -> None:
        self._over_whiteout = False

    def _hide(self, parent: int, hidden: bytes) -> None:
        try:
            os.mknod(hidden, stat.S_IFCHR, 0, dir_fd=parent)
        except FileExistsError:  # the layer's own: it stays, and is all that is there
            found = os.stat(hidden, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                directory = os.open(hidden, _DIRECTORY, dir_fd=parent)
                try:
                    _make_opaque(directory)
                finally:
                    os.close(directory)

    def _unhide_all(self, parent: int) -> None:
        """Nothing is left to hide, and overlayfs would list the devices of such a directory."""
        directory = os.open(".", _DIRECTORY, dir_fd=parent)
        try:
            with os.scandir(directory) as rows:
                names = [row.name for row in rows]
            for name in names:
                if self.is_one(os.stat(name, dir_fd=directory, follow_symlinks=False)):
                    os.unlink(name, dir_fd=directory)
        finally:
            os.close(directory)


class _Apply(_Keep):
    """Delete what lower layers brought, for trees that hold all layers at once."""

    over_lower_layers = True

    def __init__(self) -> None:
        self._own: set[Key] = set()
        self._opaque: set[tuple[int, int]] = set()

    def handle(self, parent: int, name: bytes) -> bool:
        if not name.startswith(PREFIX):
            return False
        if name == OPAQUE_MARKER:
            self._clear(parent)
        elif (hidden := victim(name)) is not None:
            self._hide(parent, hidden)
        return True

    def yields(self, parent: int, name: bytes, found: os.stat_result) -> bool:
        return self._key(parent, name) not in self._own

    def made(self, parent: int, name: bytes) -> None:
        self._own.add(self._key(parent, name))

    def _key(self, parent: int, name: bytes) -> Key:
        found = os.fstat(parent)
        return found.st_dev, found.st_ino, name

    def _hide(self, parent: int, hidden: bytes) -> None:
        try:
            found = os.stat(hidden, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return
        own = self._key(parent, hidden) in self._own
        if not stat.S_ISDIR(found.st_mode):
            if not own:
                os.unlink(hidden, dir_fd=parent)
        elif own:
            directory = os.open(hidden, _DIRECTORY, dir_fd=parent)
            try:
                self._clear(directory)
            finally:
                os.close(directory)
        else:
            remove_tree(parent, hidden)

    def _clear(self, directory: int) -> None:
        """Make the directory opaque, once: later children are all the layer's own."""
        found = os.fstat(directory)
        if (found.st_dev, found.st_ino) in self._opaque:
            return
        self._opaque.add((found.st_dev, found.st_ino))
        listed = os.open(".", _DIRECTORY, dir_fd=directory)
        try:
            with os.scandir(listed) as rows:
                names = [os.fsencode(row.name) for row in rows]
            for name in names:
                self._hide_lower(listed, name)
        finally:
            os.close(listed)

    def _hide_lower(self, directory: int, name: bytes) -> None:
        if self._key(directory, name) not in self._own:
            self._hide(directory, name)
            return
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode):
            self._hide(directory, name)


def _make_opaque(directory: int) -> None:
    # By way of /proc: the descriptor may be one that only names its file (O_PATH).
    os.setxattr(f"/proc/self/fd/{directory}", OPAQUE_XATTR, b"y")


def _is_opaque(directory: int) -> bool:
    try:
        return os.getxattr(f"/proc/self/fd/{directory}", OPAQUE_XATTR) == b"y"
    except OSError:
        return False
