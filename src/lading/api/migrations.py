"""Migrations, below ``/lading/v1``: one to start them here, the rest for the engine they go to."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any, BinaryIO

import msgspec
from aiohttp import web

from lading.api import body, replies
from lading.api.call import Call
from lading.api.image_streams import shows
from lading.api.inflow import body_of
from lading.api.lines import Emit, stream_lines
from lading.api.outflow import stream_from_thread
from lading.api.router import Route
from lading.backup import bill as bills
from lading.backup.hosting import Hosting, request_of
from lading.backup.migrating import MigrationRequest
from lading.backup.peer import document
from lading.errors import Invalid
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest

_BEAT = 0.5  # seconds after which the end of a client is noticed
_PIECE = 256 * 1024


class MigrateBody(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The body of ``POST /lading/v1/migrate``: *socket* is the other engine's."""

    name: str
    socket: str
    key: str = ""  # by which it can be given up
    host: str = ""
    new_name: str = ""
    ports: dict[str, str] = {}
    volumes: dict[str, str] = {}
    networks: dict[str, str] = {}
    allow: list[str] = []
    dry_run: bool = False
    keep_source: bool = False
    max_rounds: int = 6
    timeout_health: float = 60.0


async def migrate(call: Call) -> web.StreamResponse:
    """Migrate; an ``aux`` for each thing that was done.  Given up when the client goes away."""
    raw: dict[str, Any] = await body.read_json(call.request, dict)
    try:
        asked = msgspec.convert(raw, MigrateBody)
    except msgspec.ValidationError as error:
        raise body.InvalidBody(f"invalid JSON: {error}") from None
    if not asked.socket.startswith("/"):
        raise Invalid("the absolute path of the other engine's socket is wanted")
    migrations, key = call.engine.migrations, asked.key or secrets.token_hex(16)

    def work(emit: Emit) -> None:
        migrations.run(
            key, _request(asked), tell=lambda told: emit({"aux": told}), on_progress=shows(emit)
        )

    watch = asyncio.ensure_future(_watch(call, key))
    try:
        return await stream_lines(call, work)
    finally:
        watch.cancel()
        if _is_gone(call):
            migrations.give_up(key)


async def give_up(call: Call) -> web.StreamResponse:
    call.engine.migrations.give_up(call.params["key"])
    return replies.empty()


def _request(asked: MigrateBody) -> MigrationRequest:
    return MigrationRequest(
        name=asked.name,
        path=asked.socket,
        host=asked.host or f"unix://{asked.socket}",
        wishes={
            "name": asked.new_name,
            "ports": asked.ports,
            "volumes": asked.volumes,
            "networks": asked.networks,
            "allow": asked.allow,
        },
        dry_run=asked.dry_run,
        keep_source=asked.keep_source,
        most_rounds=asked.max_rounds,
        health_seconds=asked.timeout_health,
    )


async def _watch(call: Call, key: str) -> None:
    while not _is_gone(call):
        await asyncio.sleep(_BEAT / 2)
    call.engine.migrations.give_up(key)


def _is_gone(call: Call) -> bool:
    transport = call.request.transport
    return transport is None or transport.is_closing()


async def facts(call: Call) -> web.StreamResponse:
    return replies.json(await call.threads.short(_hosting(call).facts))


async def check(call: Call) -> web.StreamResponse:
    """Whether a container can come, by a bill without content."""
    asked: dict[str, Any] = await body.read_json(call.request, dict)
    bill = bills.decode(str(asked.get("bill")).encode())
    wishes, spare = request_of(asked.get("wishes") or {}), list(asked.get("spare") or ())
    problems, free = await call.threads.long(_hosting(call).problems, bill, wishes, spare)
    return replies.json({"problems": problems, "free": free})


async def session(call: Call) -> web.StreamResponse:
    """Begin a migration; it is over when this request is."""
    migration, hosting = call.params["migration"], _hosting(call)
    await call.threads.long(hosting.enter, migration)
    try:
        response = await call.begin("application/octet-stream")
        with call.endless():
            while not _is_gone(call):
                await response.write(b"\n")
                await asyncio.sleep(_BEAT)
    finally:
        await asyncio.shield(call.threads.long(hosting.leave, migration))
    return response


async def add(call: Call) -> web.StreamResponse:
    """Take a blob; it is verified."""
    descriptor = _descriptor(call)
    async with body_of(call.request) as content:
        await call.threads.long(_hosting(call).add, call.params["migration"], descriptor, content)
    return replies.empty()


async def stat(call: Call) -> web.StreamResponse:
    place = _hosting(call).place(call.params["migration"])
    there = await call.threads.short(place.has, _descriptor(call))
    return replies.json({"there": there})


async def read(call: Call) -> web.StreamResponse:
    """A piece of a blob."""
    place, descriptor = _hosting(call).place(call.params["migration"]), _descriptor(call)
    offset = call.query.number("offset") or 0
    length = call.query.number("length")
    if offset < 0 or (length or 0) < 0:
        raise Invalid("invalid range")

    def write(out: BinaryIO) -> None:
        left = descriptor.size if length is None else length
        with place.open(descriptor) as stream:
            stream.seek(offset)
            while left and (piece := stream.read(min(_PIECE, left))):
                out.write(piece)
                left -= len(piece)

    return await stream_from_thread(call, write, "application/octet-stream")


async def names(call: Call) -> web.StreamResponse:
    place = _hosting(call).place(call.params["migration"])
    found = await call.threads.short(place.names)
    rows = [{"tag": tag, "kind": kind, **document(each)} for tag, (each, kind) in found.items()]
    return replies.json(rows)


async def name(call: Call) -> web.StreamResponse:
    place = _hosting(call).place(call.params["migration"])
    asked: dict[str, Any] = await body.read_json(call.request, dict)
    rows = {str(row.get("tag")): Descriptor.parse(row, "name") for row in asked.get("rows") or ()}
    await call.threads.short(place.rename, lambda tags: rows, str(asked.get("kind")))
    return replies.empty()


async def lay(call: Call) -> web.StreamResponse:
    """Lay out what a round brought."""
    asked: dict[str, Any] = await body.read_json(call.request, dict)
    wishes = request_of(asked.get("wishes") or {})
    await call.threads.long(
        _hosting(call).lay, call.params["migration"], str(asked.get("tag")), wishes
    )
    return replies.empty()


async def restore(call: Call) -> web.StreamResponse:
    """Make the container, which does not run yet."""
    asked: dict[str, Any] = await body.read_json(call.request, dict)
    wishes = request_of(asked.get("wishes") or {})
    container = await call.threads.long(
        _hosting(call).restore, call.params["migration"], str(asked.get("tag")), wishes
    )
    return replies.json({"id": container.id, "name": container.name})


async def start(call: Call) -> web.StreamResponse:
    await call.threads.waiting(_hosting(call).start, call.params["migration"])
    return replies.empty()


async def state(call: Call) -> web.StreamResponse:
    found = await call.threads.short(_hosting(call).state, call.params["migration"])
    return replies.json(found)


async def confirm(call: Call) -> web.StreamResponse:
    await call.threads.short(_hosting(call).confirm, call.params["migration"])
    return replies.empty()


async def leave(call: Call) -> web.StreamResponse:
    await call.threads.waiting(_hosting(call).leave, call.params["migration"])
    return replies.empty()


async def forget(call: Call) -> web.StreamResponse:
    await call.threads.short(_hosting(call).forget, call.params["migration"])
    return replies.empty()


def _hosting(call: Call) -> Hosting:
    return call.engine.migrations.hosting


def _descriptor(call: Call) -> Descriptor:
    size = call.query.number("size")
    if size is None or size < 0:
        raise Invalid("a blob's size is wanted")
    digest = Digest.parse(call.params["digest"])
    return Descriptor(call.query.text("mediaType", "application/octet-stream"), digest, size)


_ONE = "/lading/v1/migration/{migration}"
_BLOB = _ONE + "/blobs/{digest}"
ROUTES = (
    Route("POST", "/lading/v1/migrate", migrate),
    Route("POST", "/lading/v1/migrate/{key}/give-up", give_up),
    Route("GET", "/lading/v1/migration/facts", facts),
    Route("POST", "/lading/v1/migration/check", check),
    Route("GET", f"{_ONE}/session", session),
    Route("PUT", _BLOB, add),
    Route("GET", _BLOB, read),
    Route("GET", f"{_BLOB}/stat", stat),
    Route("GET", f"{_ONE}/names", names),
    Route("POST", f"{_ONE}/names", name),
    Route("POST", f"{_ONE}/lay", lay),
    Route("POST", f"{_ONE}/restore", restore),
    Route("POST", f"{_ONE}/start", start),
    Route("GET", f"{_ONE}/state", state),
    Route("POST", f"{_ONE}/confirm", confirm),
    Route("POST", f"{_ONE}/leave", leave),
    Route("POST", f"{_ONE}/forget", forget),
)
