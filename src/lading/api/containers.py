"""Containers from their making to their end: create, start, stop, kill, wait and the like."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from lading.api import body, replies
from lading.api.call import Call
from lading.api.filters import Filters
from lading.api.query import integer
from lading.api.replies import JSON
from lading.api.router import Route
from lading.api.times import parse_moment
from lading.api.versions import Version
from lading.container.options import CreateRequest, UpdateRequest
from lading.errors import Invalid
from lading.oci.platform import Platform

_CONDITIONS = frozenset({"not-running", "next-exit", "removed"})
_PRUNE = frozenset({"until", "label", "label!"})
_WAIT_STREAMS_SINCE = Version(1, 30)
_WAIT_WITHOUT_NULL = Version(1, 42)
_START_INTERVAL_SINCE = Version(1, 44)


async def create(call: Call) -> web.StreamResponse:
    request = _for_version(await body.read_json(call.request, CreateRequest), call.version)
    if request == CreateRequest():
        raise Invalid("config cannot be empty in order to create a container")
    name = call.query.text("name") or None
    text = call.query.text("platform")
    platform = Platform.parse(text) if text else None
    container, warnings = await call.threads.short(
        call.engine.containers.create, name, request, platform
    )
    return replies.json({"Id": container.id, "Warnings": warnings}, 201)


def _for_version(request: CreateRequest, version: Version) -> CreateRequest:
    """Without what a client of that version cannot have meant."""
    if request.healthcheck is None or version >= _START_INTERVAL_SINCE:
        return request
    check = msgspec.structs.replace(request.healthcheck, start_interval=0)
    return msgspec.structs.replace(request, healthcheck=check)


async def start(call: Call) -> web.StreamResponse:
    began = await call.threads.starting(call.engine.containers.start, call.params["id"])
    return replies.empty(204 if began else 304)


async def stop(call: Call) -> web.StreamResponse:
    stopped = await call.threads.waiting(
        call.engine.containers.stop,
        call.params["id"],
        timeout=call.query.number("t"),
        signal=call.query.text("signal") or None,
    )
    return replies.empty(204 if stopped else 304)


async def restart(call: Call) -> web.StreamResponse:
    await call.threads.waiting(
        call.engine.containers.restart,
        call.params["id"],
        timeout=call.query.number("t"),
        signal=call.query.text("signal") or None,
    )
    return replies.empty()


async def kill(call: Call) -> web.StreamResponse:
    signal = call.query.text("signal") or "SIGKILL"
    await call.threads.waiting(call.engine.containers.kill, call.params["id"], signal)
    return replies.empty()


async def pause(call: Call) -> web.StreamResponse:
    await call.threads.short(call.engine.containers.pause, call.params["id"])
    return replies.empty()


async def unpause(call: Call) -> web.StreamResponse:
    await call.threads.short(call.engine.containers.unpause, call.params["id"])
    return replies.empty()


async def rename(call: Call) -> web.StreamResponse:
    name = call.query.text("name")
    if not name:
        raise Invalid("Neither old nor new names may be empty")
    await call.threads.short(call.engine.containers.rename, call.params["id"], name)
    return replies.empty()


async def update(call: Call) -> web.StreamResponse:
    changes = await body.read_json(call.request, UpdateRequest)
    warnings = await call.threads.short(call.engine.containers.update, call.params["id"], changes)
    return replies.json({"Warnings": list(warnings) or None})


async def remove(call: Call) -> web.StreamResponse:
    if call.query.flag("link"):
        raise Invalid("removing a link is not possible: lading has no legacy links")
    await call.threads.waiting(
        call.engine.containers.remove,
        call.params["id"],
        force=call.query.flag("force"),
        volumes=call.query.flag("v"),
    )
    return replies.empty()


async def resize(call: Call) -> web.StreamResponse:
    rows, columns = terminal_size(call)
    await call.threads.short(call.engine.containers.resize, call.params["id"], rows, columns)
    return replies.empty(200)


def terminal_size(call: Call) -> tuple[int, int]:
    """Rows and columns from ``h`` and ``w``; Invalid."""
    rows, columns = integer(call.query.text("h")), integer(call.query.text("w"))
    if not (0 <= rows < 2**16 and 0 <= columns < 2**16):
        raise Invalid(f"invalid terminal size: {rows} by {columns}")
    return rows, columns


async def top(call: Call) -> web.StreamResponse:
    arguments = call.query.text("ps_args") or "-ef"
    titles, rows = await call.threads.short(
        call.engine.containers.top, call.params["id"], arguments
    )
    return replies.json({"Titles": titles, "Processes": rows})


async def prune(call: Call) -> web.StreamResponse:
    filters = Filters.parse(call.query.text("filters"), _PRUNE)
    check_until(filters)
    ids, size = await call.threads.long(call.engine.containers.prune, filters.as_mapping())
    return replies.json({"ContainersDeleted": ids, "SpaceReclaimed": size})


def check_until(filters: Filters) -> None:
    """Raise Invalid for an ``until`` that is no time, or for several of them."""
    if len(filters.all("until")) > 1:
        raise Invalid("more than one until filter specified")
    for text in filters.all("until"):
        parse_moment(text, 0)


async def wait(call: Call) -> web.StreamResponse:
    """The head at once, the exit code when it is known."""
    condition = call.query.text("condition") or "not-running"
    if condition not in _CONDITIONS:
        raise Invalid(f'invalid condition: "{condition[:80]}"')
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[tuple[int, str]] = loop.create_future()

    def tell(code: int, error: str) -> None:
        loop.call_soon_threadsafe(_settle, ended, (code, error))

    cancel = await call.threads.short(
        call.engine.containers.watch, call.params["id"], condition, tell
    )
    try:
        return await _answer_wait(call, ended)
    finally:
        cancel()


async def _answer_wait(call: Call, ended: asyncio.Future[tuple[int, str]]) -> web.StreamResponse:
    with call.endless():
        if call.version < _WAIT_STREAMS_SINCE:
            return replies.json(_exit(*await ended))
        response = await call.begin(JSON)
        code, error = await ended
        always = {"Error": None} if call.version < _WAIT_WITHOUT_NULL else {}
        await response.write(replies.encoded({**always, **_exit(code, error)}))
        return response


def _exit(code: int, error: str) -> Mapping[str, Any]:
    """`ContainerWaitResponse`."""
    shown: dict[str, Any] = {"StatusCode": code}
    if error:
        shown["Error"] = {"Message": error}
    return shown


def _settle(future: asyncio.Future[tuple[int, str]], value: tuple[int, str]) -> None:
    if not future.done():
        future.set_result(value)


ROUTES = (
    Route("POST", "/containers/create", create),
    Route("POST", "/containers/prune", prune),
    Route("POST", "/containers/{id}/start", start),
    Route("POST", "/containers/{id}/stop", stop),
    Route("POST", "/containers/{id}/restart", restart),
    Route("POST", "/containers/{id}/kill", kill),
    Route("POST", "/containers/{id}/pause", pause),
    Route("POST", "/containers/{id}/unpause", unpause),
    Route("POST", "/containers/{id}/rename", rename),
    Route("POST", "/containers/{id}/update", update),
    Route("POST", "/containers/{id}/resize", resize),
    Route("POST", "/containers/{id}/wait", wait),
    Route("GET", "/containers/{id}/top", top),
    Route("DELETE", "/containers/{id}", remove),
)
