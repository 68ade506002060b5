"""Find a small init program to run as a container's first process (--init).

It must be linked statically: in the container there is nothing of the host's libraries.
"""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

from lading.errors import Unsupported

_NAMES = ("docker-init", "catatonit", "tini-static", "tini")
_PLACES = ("/usr/libexec/docker", "/usr/libexec/podman", "/usr/lib/podman")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ELF64_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_INTERPRETER = 3  # PT_INTERP: such a program needs a dynamic loader
_MOST_HEADERS = 64


class NoInit(Unsupported):
    """Raised where no init program is installed that can run in a container."""

    def __init__(self) -> None:
        super().__init__("--init needs the package tini or catatonit: apt-get install tini")


def find() -> str:
    """The path of an init program that runs anywhere; NoInit."""
    for name in _NAMES:
        for place in (None, *_PLACES):
            path = shutil.which(name, path=place or _PATH)
            if path and is_static(Path(path)):
                return str(Path(path).resolve())
    raise NoInit


def is_static(program: Path) -> bool:
    """Whether *program* is an ELF executable that needs no loader."""
    with program.open("rb") as file:
        header = file.read(_ELF64_HEADER.size)
        if len(header) < _ELF64_HEADER.size or header[:6] != b"\x7fELF\x02\x01":
            return False
        fields = _ELF64_HEADER.unpack(header)
        offset, size, count = fields[5], fields[9], min(fields[10], _MOST_HEADERS)
        file.seek(offset)
        table = file.read(size * count)
    kinds = (struct.unpack_from("<I", table, at)[0] for at in range(0, len(table) - 3, size))
    return _INTERPRETER not in kinds
