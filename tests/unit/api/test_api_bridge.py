"""A bridge carries bytes both ways, cuts packets, holds back, and notices every kind of end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lading.api.bridge import Bridge, Wishes
from lading.api.hijack import Connection
from lading.runtime.conmon import MOST_INPUT

Talk = Callable[[socket.socket, Bridge, socket.socket], Awaitable[None]]


class Former(asyncio.Protocol):
    """What the connection was before."""


def joined(wishes: Wishes, talk: Talk) -> None:
    """Run *talk* with the client's socket, the bridge and the monitor's socket."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        client, served = socket.socketpair()
        monitor, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for each in (client, monitor):
            each.setblocking(False)
        transport, former = await loop.create_connection(Former, sock=served)
        connection = Connection(transport, former)
        transport.set_protocol(connection)
        bridge = Bridge(connection, wishes)
        bridge.connect(ours)
        try:
            async with asyncio.timeout(20):
                await talk(client, bridge, monitor)
        finally:
            bridge.finish()
            transport.abort()
            await asyncio.sleep(0)
            client.close()
            monitor.close()

    asyncio.run(main())


async def received(source: socket.socket, size: int) -> bytes:
    loop, content = asyncio.get_running_loop(), b""
    while len(content) < size:
        piece = await loop.sock_recv(source, 1 << 20)
        assert piece, content
        content += piece
    return content


def test_output_is_framed_by_stream() -> None:
    async def talk(client: socket.socket, bridge: Bridge, monitor: socket.socket) -> None:
        monitor.send(b"\x02out")
        monitor.send(b"\x03err")
        assert await received(client, 22) == (
            b"\x01\0\0\0\0\0\0\x03out" + b"\x02\0\0\0\0\0\0\x03err"
        )

    joined(Wishes(), talk)


def test_a_stream_that_is_not_wanted_stays_away() -> None:
    async def talk(client: socket.socket, bridge: Bridge, monitor: socket.socket) -> None:
        monitor.send(b"\x02out")
        monitor.send(b"\x03err")
        assert await received(client, 11) == b"\x02\0\0\0\0\0\0\x03err"

    joined(Wishes(stdout=False), talk)


def test_a_terminals_output_is_raw() -> None:
    async def talk(client: socket.socket, bridge: Bridge, monitor: socket.socket) -> None:
        monitor.send(b"\x02a\r\n")
        assert await received(client, 3) == b"a\r\n"

    joined(Wishes(raw=True), talk)


def test_input_is_cut_into_packets_and_its_end_passed_on() -> None:
    async def talk(client: socket.socket, bridge: Bridge, monitor: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        content = bytes(range(256)) * 4000
        sending = asyncio.ensure_future(loop.sock_sendall(client, content))
        got = b""
        while len(got) < len(content):
            packet = await loop.sock_recv(monitor, 1 << 20)
            assert 0 < len(packet) <= MOST_INPUT
            got += packet
        await sending
        assert got == content
        client.shutdown(socket.SHUT_WR)
        assert await loop.sock_recv(monitor, 10) == b""
        monitor.send(b"\x02still here")
        assert await received(client, 10) == b"still here"

    joined(Wishes(stdin=True, raw=True), talk)


def test_input_that_is_not_wanted_is_dropped() -> None:
    async def talk(client: socket.socket, bridge: Bridge, monitor: socket.socket) -> None:
        client.send(b"hello")
        client.shutdown(socket.SHUT_WR)
        await asyncio.sleep(0.05)
        with pytest.raises(BlockingIOError):
            monitor.recv(10)

    joined(Wishes(raw=True), talk)


def test_a_slow_client_holds_the_monitor_back_and_loses_nothing() -> None:
    async def talk(client: socket.socket, bridge: Bridge, monitor: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        sent = 0
        while sent < 4096:
            try:
                monitor.send(b"\x02" + b"x" * 8192)
                sent += 1
            except BlockingIOError:
                if await _stuck(monitor):
                    break
        assert sent < 200, "everything was taken from the monitor though nobody read"
        got = len(await received(client, sent * 8192))
        assert got == sent * 8192
        await loop.sock_sendall(monitor, b"\x02again")
        assert await received(client, 5) == b"again"

    joined(Wishes(raw=True), talk)


async def _stuck(monitor: socket.socket) -> bool:
    for _ in range(20):
        await asyncio.sleep(0.01)
        try:
            monitor.send(b"\x02" + b"x" * 0)
        except BlockingIOError:
            continue
        return False
    return True


def test_a_client_that_does_not_feed_a_full_monitor_is_held_back() -> None:
    async def talk(client: socket.socket, bridge: Bridge, monitor: socket.socket) -> None:
        sent = 0
        for _ in range(300):
            try:
                sent += client.send(b"y" * 10_000)
            except BlockingIOError:
                await asyncio.sleep(0.002)
        assert sent < 3_000_000
        loop, got = asyncio.get_running_loop(), 0
        while got < sent:
            got += len(await loop.sock_recv(monitor, 1 << 20))
        assert got == sent

    joined(Wishes(stdin=True, raw=True), talk)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda client, monitor: monitor.close(), "ended"),
        (lambda client, monitor: client.close(), "gone"),
        (lambda client, monitor: client.send(b"ls\x10\x11"), "detached"),
    ],
)
def test_every_end_is_told(end: Callable[[Any, Any], Any], reason: str) -> None:
    async def talk(client: socket.socket, bridge: Bridge, monitor: socket.socket) -> None:
        end(client, monitor)
        assert await bridge.ended == reason
        if reason == "detached":
            assert monitor.recv(10) == b"ls"

    joined(Wishes(stdin=True, raw=True, detach_keys=b"\x10\x11"), talk)


def test_output_before_the_end_arrives_before_the_end() -> None:
    async def talk(client: socket.socket, bridge: Bridge, monitor: socket.socket) -> None:
        for _ in range(20):
            monitor.send(b"\x02" + b"z" * 5000)
        monitor.close()
        assert await bridge.ended == "ended"
        assert await received(client, 100_000) == b"z" * 100_000

    joined(Wishes(raw=True), talk)
