"""Images from and to registries: pull, push, search, login, and what a registry has."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from lading.api import image_streams, replies
from lading.api.body import read_json
from lading.api.call import Call
from lading.api.filters import Filters
from lading.api.image_streams import shows
from lading.api.inflow import ClientGone
from lading.api.lines import Emit, stream_lines
from lading.api.router import Route
from lading.engine.sharing import Pulled, Pushed
from lading.errors import Invalid
from lading.image.progress import Listener, Progress
from lading.oci.platform import Platform
from lading.oci.reference import Reference
from lading.registry import credentials, search
from lading.registry.credentials import Credentials

_FILTERS = frozenset({"is-official", "is-automated", "stars"})
_USUAL_RESULTS = 25


async def create(call: Call) -> web.StreamResponse:
    """``docker pull``, and ``docker import`` by the same path."""
    if call.query.text("fromImage"):
        return await pull(call)
    return await image_streams.create(call)


async def pull(call: Call) -> web.StreamResponse:
    """``fromImage``; without a tag the whole repository."""
    named, every = _asked(call.query.text("fromImage"), call.query.text("tag"))
    login = _login(call)
    text = call.query.text("platform")
    platform = Platform.parse(text) if text else None
    sharing = call.engine.sharing

    def work(emit: Emit) -> None:
        told = _while_wanted(call, shows(emit))
        options: dict[str, Any] = {"platform": platform, "on_progress": told}
        if not every:
            _tell_pulled(sharing.pull(named, login, **options), emit)
            return
        for pulled in sharing.pull_all(named, login, **options):
            _tell_pulled(pulled, emit)

    return await stream_lines(call, work)


def _tell_pulled(pulled: Pulled, emit: Emit) -> None:
    emit({"status": f"Digest: {pulled.digest}"})
    news = "Downloaded newer image for" if pulled.news else "Image is up to date for"
    emit({"status": f"Status: {news} {pulled.reference.familiar}"})


async def push(call: Call) -> web.StreamResponse:
    """The image under one tag; without a tag under all of that repository."""
    named, every = _asked(call.params["name"], call.query.text("tag"))
    if named.digest is not None:
        raise Invalid("cannot push a digest reference")
    login = _login(call)
    sharing = call.engine.sharing

    def work(emit: Emit) -> None:
        emit({"status": f"The push refers to repository [{named.repository}]"})
        told = _while_wanted(call, shows(emit))
        if not every:
            _tell_pushed(sharing.push(named, login, on_progress=told), emit)
            return
        for pushed in sharing.push_all(named, login, on_progress=told):
            _tell_pushed(pushed, emit)

    return await stream_lines(call, work)


def _tell_pushed(pushed: Pushed, emit: Emit) -> None:
    tag, manifest = pushed.reference.tag, pushed.manifest
    emit({"status": f"{tag}: digest: {manifest.digest} size: {manifest.size}"})
    aux = {"Tag": tag, "Digest": str(manifest.digest), "Size": manifest.size}
    emit({"progressDetail": {}, "aux": aux})


def _asked(name: str, tag: str) -> tuple[Reference, bool]:
    """The image that *name* and *tag* (or digest) mean, and whether all tags are meant."""
    bare = Reference.parse(name)
    if tag:
        joint = "@" if ":" in tag else ":"
        return Reference.parse(f"{bare.repository}{joint}{tag}"), False
    has_tag = "@" in name or ":" in name.rpartition("/")[2]
    return bare, not has_tag


def _while_wanted(call: Call, listener: Listener) -> Listener:
    """*listener*, which ends the work with ClientGone when nobody is left to hear it."""

    def listen(progress: Progress) -> None:
        transport = call.request.transport
        if transport is None or transport.is_closing():
            raise ClientGone
        listener(progress)

    return listen


def _login(call: Call) -> Credentials:
    return credentials.from_header(call.request.headers.get("X-Registry-Auth", ""))


class _Login(msgspec.Struct):
    """The body of ``POST /auth``."""

    username: str = ""
    password: str = ""
    serveraddress: str = ""
    identitytoken: str = ""
    registrytoken: str = ""


async def log_in(call: Call) -> web.StreamResponse:
    """Whether a registry takes a login; the token to keep, where it gives one."""
    asked = await read_json(call.request, _Login)
    domain = search.domain_of(asked.serveraddress)
    given = Credentials(asked.username, asked.password, asked.identitytoken, asked.registrytoken)
    token = await call.threads.waiting(call.engine.sharing.log_in, domain, given)
    return replies.json({"Status": "Login Succeeded", "IdentityToken": token})


async def look_up(call: Call) -> web.StreamResponse:
    """What a name means at its registry."""
    reference = Reference.parse(call.params["name"])
    found, platforms = await call.threads.waiting(
        call.engine.sharing.look_up, reference, _login(call)
    )
    return replies.json(
        {"Descriptor": found.document(), "Platforms": [_shown(each) for each in platforms]}
    )


def _shown(platform: Platform) -> dict[str, str]:
    variant = {"variant": platform.variant} if platform.variant else {}
    return {"architecture": platform.architecture, "os": platform.os, **variant}


async def find(call: Call) -> web.StreamResponse:
    """``docker search``."""
    filters = Filters.parse(call.query.text("filters"), _FILTERS)
    most = call.query.number("limit") or _USUAL_RESULTS
    found = await call.threads.waiting(
        call.engine.sharing.search, call.query.text("term"), _login(call), most=most
    )
    least = max(map(_stars, filters.all("stars")), default=0)
    official = filters.flag("is-official")
    rows = [row for row in found if row.stars >= least and official in (None, row.official)]
    return replies.json([_result(row) for row in rows])


def _stars(text: str) -> int:
    if not text.isdecimal():
        raise Invalid(f"invalid filter 'stars={text[:80]}'")
    return int(text)


def _result(row: search.Result) -> dict[str, Any]:
    return {
        "name": row.name,
        "description": row.description,
        "star_count": row.stars,
        "is_official": row.official,
        "is_automated": row.automated,
    }


ROUTES = (
    Route("POST", "/images/create", create),
    Route("GET", "/images/search", find),
    Route("POST", "/images/{name...}/push", push),
    Route("POST", "/auth", log_in),
    Route("GET", "/distribution/{name...}/json", look_up),
)
