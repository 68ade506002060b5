"""The socket that clients come to: made anew, in place of a stale one, for root and one group."""

from __future__ import annotations

import grp
import os
import socket
from pathlib import Path

from lading.errors import Conflict, Invalid

_GROUPS = ("lading", "docker")
_BACKLOG = 512
_LONGEST = 107  # sun_path without its end


class SocketInUse(Conflict):
    """Raised where another process listens at the address."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"another process is listening on {path}")


class BadHost(Invalid):
    """Raised for an address that lading cannot listen on."""

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(f"cannot listen on {host}: {reason}")


def listen(host: str) -> socket.socket:
    """A socket listening at *host* (``unix://PATH``); BadHost, SocketInUse.

    It appears in one step, with its owner and mode: nobody ever meets it half made.
    """
    path = _path(host)
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if answers(path):
        raise SocketInUse(path)
    making = path.with_name(f".{os.getpid():x}")
    making.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.bind(str(making))
        os.chown(making, 0 if os.geteuid() == 0 else -1, group())
        making.chmod(0o660)
        listener.listen(_BACKLOG)
        making.rename(path)
    except BaseException:
        listener.close()
        making.unlink(missing_ok=True)
        raise
    listener.setblocking(False)
    return listener


def answers(path: Path) -> bool:
    """Whether somebody listens at *path*."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError as error:
            raise BadHost(f"unix://{path}", error.strerror or str(error)) from None
    return True


def group() -> int:
    """The group that may use the socket: ``lading``, else ``docker``, else root's; -1 for none."""
    if os.geteuid() != 0:
        return -1
    for name in _GROUPS:
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            continue
    return 0


def _path(host: str) -> Path:
    scheme, found, rest = host.partition("://")
    if not found or scheme != "unix":
        raise BadHost(host, "only unix:// sockets are supported")
    path = Path(rest)
    if not path.is_absolute():
        raise BadHost(host, "the path must be absolute")
    if len(os.fsencode(path)) > _LONGEST:
        raise BadHost(host, f"the path is longer than {_LONGEST} bytes")
    return path
