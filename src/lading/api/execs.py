"""Further processes in a running container: make, start and join, resize, inspect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from lading.api import body, replies
from lading.api.bridge import Bridge, Wishes
from lading.api.call import Call
from lading.api.containers import terminal_size
from lading.api.detach import parse_keys
from lading.api.hijack import TakenOver, hold_input, take_over
from lading.api.joining import Joining
from lading.api.router import Route
from lading.api.stdcopy import STDOUT, frame
from lading.container.execs import Exec
from lading.container.options import ExecConfig, ExecStart
from lading.errors import Invalid, LadingError


async def create(call: Call) -> web.StreamResponse:
    config = await body.read_json(call.request, ExecConfig)
    if not config.cmd:
        raise Invalid("No exec command specified")
    parse_keys(config.detach_keys)
    exec_id = await call.threads.short(call.engine.execs.create, call.params["id"], config)
    return replies.json({"Id": exec_id}, 201)


async def start(call: Call) -> web.StreamResponse:
    asked = await body.read_json(call.request, ExecStart, default=ExecStart())
    found = await call.threads.short(call.engine.execs.get, call.params["id"])
    size = _size(asked.console_size or found.config.console_size)
    if asked.detach:
        await call.threads.short(call.engine.execs.start, found.id, None, console_size=size)
        return replies.empty(200)
    hold_input(call)
    with call.endless():
        return await _start_joined(call, found, size)


def _size(given: list[int] | None) -> tuple[int, int] | None:
    if not given or given == [0, 0]:
        return None
    if len(given) != 2 or not all(0 <= number < 2**16 for number in given):
        raise Invalid(f"invalid console size: {given[:4]}")
    return given[0], given[1]


async def _start_joined(
    call: Call, found: Exec, size: tuple[int, int] | None
) -> web.StreamResponse:
    """Start the process with the client joined to it before its first byte.

    The head is sent first, as Docker does: a failure to start is told in the stream.
    """
    wishes = _wishes(found.config)
    join = Joining(call.loop)
    ended, cancel = await _watched(call, found.id)
    try:
        connection = take_over(call, multiplexed=not wishes.raw)
        bridge = Bridge(connection, wishes)
        join.lead_to(bridge)
        try:
            await call.threads.starting(
                call.engine.execs.start, found.id, join.arrived, console_size=size
            )
        except LadingError as error:
            words = f"{error}\r\n".encode()
            connection.transport.write(words if wishes.raw else frame(STDOUT, words))
        else:
            await _until_over(call, found.id, bridge, ended)
        connection.transport.close()
    finally:
        cancel()
        join.close()
    return TakenOver()


async def _watched(call: Call, exec_id: str) -> tuple[asyncio.Event, Callable[[], None]]:
    """Set when the exit code is known, which a client asks for as soon as the stream ends."""
    ended = asyncio.Event()

    def tell(code: int) -> None:
        call.loop.call_soon_threadsafe(ended.set)

    return ended, await call.threads.short(call.engine.execs.watch, exec_id, tell)


async def _until_over(call: Call, exec_id: str, bridge: Bridge, ended: asyncio.Event) -> None:
    reason = await bridge.ended
    if reason == "ended":
        await ended.wait()
    elif reason == "detached":
        await call.threads.short(call.engine.execs.detached, exec_id)


def _wishes(config: ExecConfig) -> Wishes:
    return Wishes(
        stdin=config.attach_stdin,
        stdout=config.attach_stdout,
        stderr=config.attach_stderr,
        raw=config.tty,
        detach_keys=parse_keys(config.detach_keys) if config.tty else None,
    )


async def resize(call: Call) -> web.StreamResponse:
    rows, columns = terminal_size(call)
    await call.threads.short(call.engine.execs.resize, call.params["id"], rows, columns)
    return replies.empty(200)


async def inspect(call: Call) -> web.StreamResponse:
    found = await call.threads.short(call.engine.execs.get, call.params["id"])
    return replies.json(shown(found))


def shown(found: Exec) -> dict[str, Any]:
    """`ExecInspectResponse`."""
    config = found.config
    words = config.cmd or [""]
    process: dict[str, Any] = {
        "tty": config.tty,
        "entrypoint": words[0],
        "arguments": words[1:],
        "privileged": config.privileged,
    }
    if config.user:
        process["user"] = config.user
    return {
        "ID": found.id,
        "Running": found.running,
        "ExitCode": found.exit_code,
        "ProcessConfig": process,
        "OpenStdin": config.attach_stdin,
        "OpenStderr": config.attach_stderr,
        "OpenStdout": config.attach_stdout,
        "CanRemove": False,
        "ContainerID": found.container_id,
        "DetachKeys": config.detach_keys,
        "Pid": found.pid,
    }


ROUTES = (
    Route("POST", "/containers/{id}/exec", create),
    Route("POST", "/exec/{id}/start", start),
    Route("POST", "/exec/{id}/resize", resize),
    Route("GET", "/exec/{id}/json", inspect),
)
