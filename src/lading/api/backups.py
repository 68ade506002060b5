"""Backups and restores, below ``/lading/v1``: bodies carry all, since there may be secrets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec
from aiohttp import web

from lading.api import backup_shapes as shapes
from lading.api import body, replies
from lading.api.backup_shapes import CreateBody, RestoreBody, TargetBody
from lading.api.call import Call
from lading.api.image_streams import shows
from lading.api.lines import Emit, stream_lines
from lading.api.outflow import stream_from_thread
from lading.api.router import Route
from lading.backup.locations import Location, split
from lading.backup.plan import RestoreRequest
from lading.backup.retention import Policy
from lading.backup.sources import BackupRequest
from lading.errors import Invalid

T = TypeVar("T", CreateBody, RestoreBody, TargetBody)
_KEEPS = Policy.__dataclass_fields__


async def create(call: Call) -> web.StreamResponse:
    """Back up; progress line by line, then one ``aux`` for each backup."""
    asked = await _read(call, CreateBody)
    request = BackupRequest(
        names=tuple(asked.names),
        everything=asked.all,
        labels=tuple(asked.labels),
        consistency=asked.consistency,
        pre=asked.pre,
        post=asked.post,
        binds=tuple(asked.include_binds),
        exclude=tuple(asked.exclude),
    )
    location, secret = Location.parse(asked.target, asked.logins), shapes.secret_of(asked.secret)

    def work(emit: Emit) -> None:
        backups = call.engine.backups
        for made in backups.create(location, secret, request, on_progress=shows(emit)):
            emit({"aux": shapes.made(made.ref, made.bill)})

    return await stream_lines(call, work)


async def restore(call: Call) -> web.StreamResponse:
    """Restore; progress line by line, then one ``aux`` for each container."""
    asked = await _read(call, RestoreBody)
    if bool(asked.ref) == bool(asked.target):
        raise Invalid("either a backup or a target is to be named")
    location, tags = _meant(asked)
    secret = shapes.secret_of(asked.secret)
    request = RestoreRequest(
        name=asked.name,
        start=asked.start,
        ports=asked.ports,
        volumes=asked.volumes,
        networks=asked.networks,
        allow=frozenset(asked.allow),
        force=asked.force,
    )

    def work(emit: Emit) -> None:
        restored = call.engine.backups.restore(
            location, secret, tags, request, on_progress=shows(emit)
        )
        for each in restored:
            emit({"aux": {"id": each.id, "name": each.name}})

    return await stream_lines(call, work)


async def list_(call: Call) -> web.StreamResponse:
    """What a target holds, the oldest first."""
    asked = await _read(call, TargetBody)
    location, secret = Location.parse(asked.target, asked.logins), shapes.secret_of(asked.secret)
    found = await call.threads.long(call.engine.backups.holding, location, secret)
    rows = [shapes.row(location, each) for each in found.backups]
    return replies.json({"backups": rows, "warnings": found.warnings})


async def show(call: Call) -> web.StreamResponse:
    asked = await _read(call, TargetBody)
    location, tag = split(asked.ref, asked.logins)
    secret = shapes.secret_of(asked.secret)
    found = await call.threads.long(call.engine.backups.show, location, secret, tag)
    return replies.json(shapes.whole(location, found))


async def files(call: Call) -> web.StreamResponse:
    asked = await _read(call, TargetBody)
    location, tag = split(asked.ref, asked.logins)
    secret = shapes.secret_of(asked.secret)
    found = await call.threads.long(call.engine.backups.files, location, secret, tag)
    return replies.json([shapes.file(each) for each in found])


async def cat(call: Call) -> web.StreamResponse:
    """One file's bytes; the request fails where the first of them cannot be had."""
    asked = await _read(call, TargetBody)
    location, tag = split(asked.ref, asked.logins)
    secret = shapes.secret_of(asked.secret)

    def write(out: BinaryIO) -> None:
        for piece in call.engine.backups.cat(location, secret, tag, asked.path):
            out.write(piece)

    return await stream_from_thread(call, write, "application/octet-stream")


async def diff(call: Call) -> web.StreamResponse:
    asked = await _read(call, TargetBody)
    old, new = (split(each, asked.logins) for each in (asked.ref, asked.other))
    secret = shapes.secret_of(asked.secret)
    found = await call.threads.long(call.engine.backups.diff, old, new, secret)
    return replies.json(shapes.differences(found))


async def verify(call: Call) -> web.StreamResponse:
    """Look at one backup, or at all; the last line has the findings."""
    asked = await _read(call, TargetBody)
    location, tags = _meant(asked)
    secret = shapes.secret_of(asked.secret)

    def work(emit: Emit) -> None:
        found, warnings = call.engine.backups.verify(
            location, secret, tags, read_data=asked.read_data, on_progress=shows(emit)
        )
        emit({"aux": shapes.verified(location, found, warnings)})

    return await stream_lines(call, work)


async def prune(call: Call) -> web.StreamResponse:
    asked = await _read(call, TargetBody)
    for name in asked.keep:
        if name not in _KEEPS:
            raise Invalid(f"no such kind of backups to keep: {name[:80]!r}")
    location, secret = Location.parse(asked.target, asked.logins), shapes.secret_of(asked.secret)
    found = await call.threads.long(
        call.engine.backups.prune, location, secret, Policy(**asked.keep), dry_run=asked.dry_run
    )
    return replies.json(shapes.pruned(location, found))


async def unpack(call: Call) -> web.StreamResponse:
    asked = await _read(call, TargetBody)
    location, tag = split(asked.ref, asked.logins)
    folder = Path(asked.path)
    if not folder.is_absolute():
        raise Invalid(f"an absolute path is wanted: {asked.path[:200]!r}")
    secret = shapes.secret_of(asked.secret)
    found = await call.threads.long(call.engine.backups.unpack, location, secret, tag, folder)
    return replies.json({"files": [str(path) for path in found]})


async def copy(call: Call) -> web.StreamResponse:
    asked = await _read(call, TargetBody)
    location, tag = split(asked.ref, asked.logins)
    to, secret = Location.parse(asked.target, asked.logins), shapes.secret_of(asked.secret)
    added = await call.threads.long(call.engine.backups.copy, location, secret, tag, to)
    return replies.json({"ref": to.ref(tag), "added": added})


def _meant(asked: TargetBody | RestoreBody) -> tuple[Location, list[str]]:
    """One backup, or all of a target: no tags."""
    if asked.ref:
        location, tag = split(asked.ref, asked.logins)
        return location, [tag]
    return Location.parse(asked.target, asked.logins), []


async def _read(call: Call, kind: type[T]) -> T:
    raw: dict[str, Any] = await body.read_json(call.request, dict)
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise body.InvalidBody(f"invalid JSON: {error}") from None


_VERBS: dict[str, Callable[[Call], Awaitable[web.StreamResponse]]] = {
    "create": create,
    "list": list_,
    "show": show,
    "files": files,
    "cat": cat,
    "diff": diff,
    "verify": verify,
    "prune": prune,
    "unpack": unpack,
    "copy": copy,
}
ROUTES = (
    *(Route("POST", f"/lading/v1/backups/{verb}", call) for verb, call in _VERBS.items()),
    Route("POST", "/lading/v1/restore", restore),
)
