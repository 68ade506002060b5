"""A container's files: copy in and out, export, and what has changed."""

from __future__ import annotations

import base64
from typing import Any, BinaryIO

import msgspec
from aiohttp import web

from lading.api import replies
from lading.api.call import Call
from lading.api.inflow import body_of
from lading.api.outflow import stream_from_thread
from lading.api.replies import printable
from lading.api.router import Route
from lading.container.files import PathStat
from lading.errors import Invalid
from lading.layer.change import Change, Kind

_STAT = "X-Docker-Container-Path-Stat"
_TAR = "application/x-tar"
_KINDS = {Kind.MODIFIED: 0, Kind.ADDED: 1, Kind.DELETED: 2}


async def stat(call: Call) -> web.StreamResponse:
    found = await call.threads.short(
        call.engine.containers.archive_stat, call.params["id"], _path(call)
    )
    return web.Response(headers={**replies.HEADERS, _STAT: stat_header(found)})


async def get(call: Call) -> web.StreamResponse:
    """The path as a tar; its stat goes before, so it is taken by the same call."""
    headers: dict[str, str] = {}

    def note(found: PathStat) -> None:
        headers[_STAT] = stat_header(found)

    def write(out: BinaryIO) -> None:
        call.engine.containers.archive_get(call.params["id"], path, out, on_stat=note)

    path = _path(call)
    return await stream_from_thread(call, write, _TAR, headers)


async def put(call: Call) -> web.StreamResponse:
    path = _path(call)
    async with body_of(call.request) as content:
        await call.threads.long(
            call.engine.containers.archive_put,
            call.params["id"],
            path,
            content,
            no_overwrite_dir_non_dir=call.query.flag("noOverwriteDirNonDir"),
            copy_uid_gid=call.query.flag("copyUIDGID"),
        )
    return replies.empty(200)


def _path(call: Call) -> str:
    path = call.query.path("path")
    if not path:
        raise Invalid("bad parameter: path cannot be empty")
    return path


def stat_header(found: PathStat) -> str:
    """The stat as Docker sends it: base64 of JSON."""
    shown = {
        "name": printable(found.name),
        "size": found.size,
        "mode": found.mode,
        "mtime": found.mtime,
        "linkTarget": printable(found.link_target),
    }
    return base64.b64encode(msgspec.json.encode(shown)).decode()


async def export(call: Call) -> web.StreamResponse:
    def write(out: BinaryIO) -> None:
        call.engine.containers.export(call.params["id"], out)

    return await stream_from_thread(call, write, "application/octet-stream")


async def changes(call: Call) -> web.StreamResponse:
    found = await call.threads.long(call.engine.containers.changes, call.params["id"])
    return replies.json([_shown(change) for change in found] or None)


def _shown(change: Change) -> dict[str, Any]:
    path = "/" + change.path.decode("utf-8", "replace")
    return {"Path": path, "Kind": _KINDS[change.kind]}


ROUTES = (
    Route("HEAD", "/containers/{id}/archive", stat),
    Route("GET", "/containers/{id}/archive", get),
    Route("PUT", "/containers/{id}/archive", put),
    Route("GET", "/containers/{id}/export", export),
    Route("GET", "/containers/{id}/changes", changes),
)
