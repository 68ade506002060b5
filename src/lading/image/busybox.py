"""A small root file system out of the host's static busybox: the same binary, the same bytes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lading.errors import Unavailable
from lading.image.streams import Sink
from lading.layer import write
from lading.layer.entry import NO_XATTRS, Entry, Type

_PLACES = (Path("/bin/busybox"), Path("/usr/bin/busybox"), Path("/usr/lib/busybox/busybox"))
_PT_INTERP = 3
_DIRECTORIES = {
    "bin": 0o755,
    "dev": 0o755,
    "etc": 0o755,
    "home": 0o755,
    "mnt": 0o755,
    "opt": 0o755,
    "proc": 0o555,
    "root": 0o700,
    "run": 0o755,
    "sbin": 0o755,
    "srv": 0o755,
    "sys": 0o555,
    "tmp": 0o1777,
    "usr": 0o755,
    "usr/bin": 0o755,
    "usr/sbin": 0o755,
    "var": 0o755,
    "var/log": 0o755,
    "var/spool": 0o755,
    "var/spool/cron": 0o755,
    "var/spool/cron/crontabs": 0o755,
    "var/tmp": 0o1777,
    "var/www": 0o755,
}
_ETC = {
    "etc/passwd": """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
sync:x:4:100:sync:/bin:/bin/sync
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:Operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
""",
    "etc/group": """\
root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
mail:x:8:
wheel:x:10:root
www-data:x:33:
operator:x:37:
users:x:100:
nogroup:x:65534:
""",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/profile": "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n",
    "etc/shadow": "root:*:::::::\nnobody:*:::::::\n",
}


class NoBusybox(Unavailable):
    """Raised where the host has no busybox that runs without the host's libraries."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}: install it with `apt-get install busybox-static`")


@dataclass(frozen=True, slots=True)
class Busybox:
    """A static busybox: where it lies, its paths for applets, when it was made (seconds)."""

    path: Path
    applets: tuple[str, ...]
    mtime: int

    @classmethod
    def of_host(cls, places: Sequence[Path] = _PLACES) -> Busybox:
        """The first static one in *places*; NoBusybox."""
        found = [place for place in places if os.access(place, os.X_OK)]
        static = next((place for place in found if is_static(place)), None)
        if static is None:
            raise NoBusybox("busybox on this host is not static" if found else "no busybox here")
        listing = subprocess.run(
            (static, "--list-full"), capture_output=True, text=True, check=True, timeout=10
        )
        applets = sorted(set(listing.stdout.split()) - {"linuxrc", "bin/busybox"})
        return cls(static, tuple(applets), int(static.stat().st_mtime))


def is_static(path: Path) -> bool:
    """Whether an ELF file asks for no interpreter (elf(5), PT_INTERP)."""
    with path.open("rb") as file:
        header = file.read(64)
        if header[:4] != b"\x7fELF":
            return False
        order = "little" if header[5] == 1 else "big"
        wide = header[4] == 2
        offset = _number(header, 32 if wide else 28, 8 if wide else 4, order)
        size = _number(header, 54 if wide else 42, 2, order)
        count = _number(header, 56 if wide else 44, 2, order)
        file.seek(offset)
        table = file.read(size * count)
    kinds = (_number(table, at, 4, order) for at in range(0, len(table), max(size, 1)))
    return _PT_INTERP not in kinds


def _number(content: bytes, at: int, width: int, order: str) -> int:
    piece = content[at : at + width]
    return int.from_bytes(piece, "little" if order == "little" else "big")


def write_tar(busybox: Busybox, out: Sink) -> None:
    """Write the root file system as a tar."""
    content = busybox.path.read_bytes()
    for name, mode in _DIRECTORIES.items():
        _put(out, _entry(name + "/", Type.DIRECTORY, mode, busybox.mtime))
    _put(out, _entry("bin/busybox", Type.FILE, 0o755, busybox.mtime), content)
    for name in _links(busybox.applets):
        link = _entry(name, Type.SYMLINK, 0o777, busybox.mtime)
        link.target = b"/bin/busybox"
        _put(out, link)
    for name, text in _ETC.items():
        mode = 0o640 if name == "etc/shadow" else 0o644
        _put(out, _entry(name, Type.FILE, mode, busybox.mtime), text.encode())
    out.write(write.END)


def _links(applets: Sequence[str]) -> Iterator[str]:
    """The applets that have a directory to lie in."""
    for name in applets:
        if name.rpartition("/")[0] in _DIRECTORIES:
            yield name


def _entry(name: str, kind: Type, mode: int, mtime: int) -> Entry:
    return Entry(name.encode(), kind, mode, 0, 0, mtime, 0, 0, b"", 0, 0, NO_XATTRS, 0, 0)


def _put(out: Sink, entry: Entry, content: bytes = b"") -> None:
    entry.size = len(content)
    out.write(write.header(entry))
    out.write(content + write.padding(len(content)))
