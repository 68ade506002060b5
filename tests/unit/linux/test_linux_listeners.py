"""The kernel tells how many connections wait at a unix socket."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lading.linux.listeners import waiting


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_SEQPACKET])
def test_connections_wait_until_they_are_accepted(tmp_path: Path, kind: int) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, kind) as server:
        server.bind(str(path))
        assert waiting(path) is None
        server.listen(5)
        assert waiting(path) == 0
        clients = [socket.socket(socket.AF_UNIX, kind) for _ in range(3)]
        for count, client in enumerate(clients, 1):
            client.connect(str(path))
            assert waiting(path) == count
        server.accept()[0].close()
        assert waiting(path) == 2
        for client in clients:
            client.close()
    assert waiting(path) is None


def test_where_there_is_no_socket_nothing_is_known(tmp_path: Path) -> None:
    assert waiting(tmp_path / "missing") is None
    (tmp_path / "plain").touch()
    assert waiting(tmp_path / "plain") is None
