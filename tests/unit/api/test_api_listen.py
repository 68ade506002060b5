"""The socket: made in one step, in place of a stale one, never in place of a live one."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from lading.api.listen import BadHost, SocketInUse, answers, listen
from lading.api.notify import activated_sockets, notify


def test_a_socket_is_for_owner_and_group(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with listen(f"unix://{path}"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert answers(path)
        assert os.listdir(tmp_path) == ["s"]
    assert not answers(path)


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    listen(f"unix://{path}").close()
    assert path.exists()
    with listen(f"unix://{path}"):
        assert answers(path)


def test_a_live_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with listen(f"unix://{path}"):
        with pytest.raises(SocketInUse, match="another process is listening"):
            listen(f"unix://{path}")
        assert answers(path)


@pytest.mark.parametrize(
    "host", ["tcp://0.0.0.0:2375", "unix://relative", "/run/x", "unix:///" + "x" * 120, ""]
)
def test_other_addresses_are_refused(host: str) -> None:
    with pytest.raises(BadHost, match="cannot listen on"):
        listen(host)


def test_systemd_is_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "n"))
        notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "n")})
        assert receiver.recv(100) == b"READY=1"


def test_nobody_is_told_where_nobody_listens(tmp_path: Path) -> None:
    notify("READY=1", {})
    notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "gone")})


def test_sockets_for_another_process_are_not_taken() -> None:
    environment = {"LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "x"}
    assert activated_sockets(environment) == []
    assert environment == {}
