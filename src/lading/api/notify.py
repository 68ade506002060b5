"""Tell systemd how the daemon is: sd_notify(3), and take over its sockets: sd_listen_fds(3)."""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

_FIRST = 3  # SD_LISTEN_FDS_START


def notify(state: str, environment: MutableMapping[str, str] | None = None) -> None:
    """Send *state*, such as ``READY=1``; nothing where systemd does not listen."""
    address = (os.environ if environment is None else environment).get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        try:
            sender.connect(address)
            sender.sendall(state.encode())
        except OSError:
            pass  # a supervisor that has gone is no reason to stop


def activated_sockets(environment: MutableMapping[str, str] | None = None) -> list[socket.socket]:
    """The listening sockets that systemd made for us; no child of ours will see them again."""
    variables = os.environ if environment is None else environment
    count, pid = variables.pop("LISTEN_FDS", "0"), variables.pop("LISTEN_PID", "")
    variables.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdigit():
        return []
    sockets = []
    for fd in range(_FIRST, _FIRST + int(count)):
        os.set_inheritable(fd, False)
        sockets.append(socket.socket(fileno=fd))
    return sockets
