"""Attaching over a WebSocket: output as frames, input too, and every kind of end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp

from engine_daemon import Daemon

Socket = aiohttp.ClientWebSocketResponse
Talk = Callable[[Socket], Awaitable[None]]
ALL = "stream=1&stdout=1&stderr=1&stdin=1"


def attached(daemon: Daemon, container: str, talk: Talk, query: str = ALL, v: str = "1.43") -> None:
    async def main() -> None:
        connector = aiohttp.UnixConnector(str(daemon.settings.socket))
        async with asyncio.timeout(20), aiohttp.ClientSession(connector=connector) as session:
            url = f"http://lading/v{v}/containers/{container}/attach/ws?{query}"
            async with session.ws_connect(url) as socket:
                await talk(socket)

    asyncio.run(main())


async def everything(socket: Socket) -> bytes:
    pieces = [m.data if isinstance(m.data, bytes) else m.data.encode() async for m in socket]
    return b"".join(pieces)


def test_what_is_sent_comes_in_and_what_is_said_comes_back(daemon: Daemon) -> None:
    container = daemon.run("sh", "-c", "read a; echo got $a; echo err >&2; exit 3", OpenStdin=True)

    async def talk(socket: Socket) -> None:
        await socket.send_str("one\n")
        assert sorted((await everything(socket)).split(b"\n")) == [b"", b"err", b"got one"]

    attached(daemon, container, talk)
    assert daemon.exit_code(container) == 3


def test_one_that_has_yet_to_start_is_joined_at_its_first_byte(daemon: Daemon) -> None:
    container = daemon.create("echo", "first")

    async def talk(socket: Socket) -> None:
        loop = asyncio.get_running_loop()
        start = f"/containers/{container}/start"
        assert (await loop.run_in_executor(None, daemon.client.post, start)).status == 204
        assert await everything(socket) == b"first\n"

    attached(daemon, container, talk)


def test_a_lot_comes_whole(daemon: Daemon) -> None:
    script = "read a; head -c 3000000 /dev/zero | tr '\\0' x"
    container = daemon.run("sh", "-c", script, OpenStdin=True)

    async def talk(socket: Socket) -> None:
        await socket.send_bytes(b"go\n")
        await asyncio.sleep(0.5)
        assert await everything(socket) == b"x" * 3_000_000

    attached(daemon, container, talk)


def test_the_log_comes_before_what_follows(daemon: Daemon) -> None:
    container = daemon.run("echo", "written before")
    daemon.exit_code(container)

    async def talk(socket: Socket) -> None:
        assert await everything(socket) == b"written before\n"

    attached(daemon, container, talk, "logs=1&stdout=1")


def test_an_old_client_gets_text(daemon: Daemon) -> None:
    container = daemon.run("sh", "-c", "read a; echo text", OpenStdin=True)

    async def talk(socket: Socket) -> None:
        await socket.send_str("go\n")
        message = await socket.receive()
        assert (message.type, message.data) == (aiohttp.WSMsgType.TEXT, "text\n")

    attached(daemon, container, talk, v="1.27")


def test_a_client_that_leaves_leaves_the_container_alone(daemon: Daemon) -> None:
    container = daemon.run("sleep", "100", OpenStdin=True)

    async def talk(socket: Socket) -> None:
        await socket.close()

    attached(daemon, container, talk)
    assert daemon.client.get(f"/containers/{container}/json").json()["State"]["Running"]


def test_without_a_handshake_nothing_happens(daemon: Daemon) -> None:
    container = daemon.run("sleep", "100")
    answer = daemon.client.get(f"/containers/{container}/attach/ws", stream=1)
    assert answer.status == 400
    assert daemon.client.get("/containers/nobody/attach/ws").status == 404
