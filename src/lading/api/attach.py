"""``POST /containers/{id}/attach``: a client's terminal, or pipes, joined with a container's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from aiohttp import web

from lading.api import body
from lading.api.bridge import Bridge, Wishes
from lading.api.call import Call
from lading.api.detach import parse_keys
from lading.api.hijack import Link, TakenOver, hold_input, take_over
from lading.api.joining import Joining
from lading.api.log_format import LogWishes
from lading.api.logs import LogStream
from lading.api.router import Route
from lading.container.record import Container
from lading.container.states import State
from lading.errors import Conflict


class CannotAttach(Conflict):
    """Raised where a container's state forbids attaching, in Docker's words."""


async def attach(call: Call) -> web.StreamResponse:
    await body.read(call.request)
    container = await call.threads.short(call.engine.containers.get, call.params["id"])
    check_state(container)
    asked = wishes(call, container)
    stream = call.query.flag("stream")
    hold_input(call)
    with call.endless():
        join = Joining(call.loop)
        cancel = await announce(call, container, join) if stream else nothing
        try:
            connection = take_over(call, multiplexed=not asked.raw)
            await serve(call, container, connection, asked, join if stream else None)
            connection.transport.close()
        finally:
            cancel()
            join.close()
    return TakenOver()


async def announce(call: Call, container: Container, join: Joining) -> Callable[[], None]:
    """Have the socket brought, now or at the next start: before the head tells the client."""
    return await call.threads.short(call.engine.containers.attach, container.id, join.arrived)


async def serve(
    call: Call, container: Container, connection: Link, wishes: Wishes, join: Joining | None
) -> None:
    """The log if it is wanted, then the stream if it is."""
    if not call.query.flag("logs"):
        await _stream(call, container, connection, wishes, join)
        return
    wanted = LogWishes(stdout=wishes.stdout, stderr=wishes.stderr, raw=wishes.raw)
    log = LogStream(call, container.id, wanted, None)
    try:
        if join and container.running:
            await _follow(connection, wishes, log, join)
            return
        await log.replay(connection.send)
    finally:
        log.close()
    await _stream(call, container, connection, wishes, join)


async def _stream(
    call: Call, container: Container, connection: Link, wishes: Wishes, join: Joining | None
) -> None:
    """What comes from now on, or from the next start's first byte on."""
    if join:
        bridge = Bridge(connection, wishes)
        join.lead_to(bridge)
        await _told(call, container, bridge)


async def _told(call: Call, container: Container, bridge: Bridge) -> None:
    """Wait until it is over; one that detaches is told of."""
    if await bridge.ended == "detached":
        await call.threads.short(call.engine.containers.detached, container.id)


async def _follow(connection: Link, wishes: Wishes, log: LogStream, join: Joining) -> None:
    """What was written so far and what follows, without a gap: all output comes from the log.

    The monitor's socket then carries input alone.
    """
    bridge = Bridge(connection, replace(wishes, stdout=False, stderr=False))
    join.lead_to(bridge)
    output = asyncio.ensure_future(log.follow(connection.send))
    try:
        await asyncio.wait((output, bridge.ended), return_when=asyncio.FIRST_COMPLETED)
        if not output.done() and bridge.ended.result() == "ended":
            await output  # the log's end is still to be sent
    finally:
        output.cancel()


def nothing() -> None:
    """There is nothing to cancel."""


def check_state(container: Container) -> None:
    """Raise CannotAttach where nobody can listen."""
    status = container.state.status
    if status is State.PAUSED:
        raise CannotAttach(
            f"container {container.id} is paused, unpause the container before attach"
        )
    if status is State.RESTARTING:
        raise CannotAttach(
            f"container {container.id} is restarting, wait until the container is running"
        )


def wishes(call: Call, container: Container) -> Wishes:
    """What the query asks for, of what the container has."""
    keys = parse_keys(call.query.text("detachKeys"))
    stdin = call.query.flag("stdin") and container.config.open_stdin
    return Wishes(
        stdin=stdin,
        stdout=call.query.flag("stdout"),
        stderr=call.query.flag("stderr"),
        raw=container.config.tty,
        detach_keys=keys if container.config.tty else None,
    )


ROUTES = (Route("POST", "/containers/{id}/attach", attach),)
