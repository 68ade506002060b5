"""``POST /build``: an image from a context and its Dockerfile, told as the classic builder does.

lading's own form of it streams the same steps as values.  Secrets, which no address and no
file may hold, are handed in before, for one build, and live in memory alone.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from aiohttp import web

from lading.api import replies
from lading.api.body import read
from lading.api.build_stream import stream_build
from lading.api.build_words import ClassicWords, OwnWords, Words
from lading.api.call import Call
from lading.api.filters import Filters
from lading.api.inflow import body_of
from lading.api.outflow import stream_from_thread
from lading.api.query import Query
from lading.api.router import Route
from lading.build.cancelling import Cancellation
from lading.build.request import BuildRequest, Built
from lading.build.rules import BuildWarning
from lading.build.telling import Listener
from lading.engine.builds import CacheUsage
from lading.errors import Invalid, NotFound, Unsupported
from lading.image import times
from lading.oci.platform import Platform
from lading.oci.reference import Reference

_PRUNE = frozenset({"until", "unused-for", "id", "type", "inuse", "shared", "private"})
_MOST_PARCEL = 32 * 1024 * 1024
_KEPT_SECONDS = 600.0
_NUMBERS = {
    "memory": "Memory",
    "memswap": "MemorySwap",
    "cpushares": "CpuShares",
    "cpuquota": "CpuQuota",
    "cpuperiod": "CpuPeriod",
    "shmsize": "ShmSize",
}
_TEXTS = {"cpusetcpus": "CpusetCpus", "cpusetmems": "CpusetMems", "cgroupparent": "CgroupParent"}


@dataclass(frozen=True, slots=True)
class Parcel:
    """What comes beside a context: secrets by ID, and a Dockerfile that lies elsewhere."""

    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    dockerfile: bytes | None = None


async def build(call: Call) -> web.StreamResponse:
    """As the classic builder answers; BuildKit's protocol is refused by name."""
    if call.query.text("version") == "2":
        raise Unsupported(
            "BuildKit sessions are not supported by lading: set DOCKER_BUILDKIT=0, or use "
            "lading build"
        )
    return await _build(call, ClassicWords(quiet=call.query.flag("q")))


async def own_build(call: Call) -> web.StreamResponse:
    """Each event of the build as one JSON line."""
    return await _build(call, OwnWords())


async def _build(call: Call, words: Words) -> web.StreamResponse:
    logins = _json_header(call, "X-Registry-Config")
    request = asked(call.query, logins, _parcel(call))
    if call.query.text("remote"):
        raise Unsupported("remote contexts are not supported by lading: send the files")
    async with body_of(call.request) as content:

        def work(tell: Listener, cancellation: Cancellation) -> Built:
            stream = content if _has_context(call) else None
            return call.engine.builds.build(request, stream, tell=tell, cancellation=cancellation)

        return await stream_build(call, work, words)


def _has_context(call: Call) -> bool:
    return not call.query.flag("nocontext")


async def check(call: Call) -> web.StreamResponse:
    """What is dubious in the Dockerfile."""
    request = asked(call.query, {}, _parcel(call))
    async with body_of(call.request) as content:
        stream = content if _has_context(call) else None
        found = await call.threads.long(call.engine.builds.check, request, stream)
    return replies.json([shown_warning(each) for each in found])


def asked(query: Query, logins: Mapping[str, Any], parcel: Parcel) -> BuildRequest:
    """What the query asks for; Invalid."""
    if query.text("outputs"):
        raise Unsupported("outputs are written by the client: lading build --output")
    platform = query.text("platform")
    return BuildRequest(
        dockerfile=query.text("dockerfile"),
        text=parcel.dockerfile,
        is_filtered=query.flag("filtered"),
        build_args={k: v for k, v in _texts(query, "buildargs").items() if v is not None},
        target=query.text("target"),
        no_cache=query.flag("nocache"),
        pull=query.flag("pull"),
        squash=query.flag("squash"),
        labels={k: v or "" for k, v in _texts(query, "labels").items()},
        network=query.text("networkmode") or "default",
        hosts=tuple(_hosts(query)),
        limits=_limits(query),
        references=tuple(Reference.parse(name) for name in query.all("t") if name),
        platform=Platform.parse(platform) if platform else Platform.of_host(),
        secrets=parcel.secrets,
        credentials=logins,
    )


def _texts(query: Query, name: str) -> dict[str, str | None]:
    """A JSON object of strings; null where the client leaves the value to the engine."""
    text = query.text(name)
    if not text:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Invalid(f"error reading {name}: it is not JSON") from None
    if not isinstance(found, dict) or not all(
        value is None or isinstance(value, str) for value in found.values()
    ):
        raise Invalid(f"error reading {name}: it is not an object of strings")
    return found


def _hosts(query: Query) -> list[str]:
    """``extrahosts``: JSON from Docker's command, comma-separated from others."""
    found: list[str] = []
    for text in query.all("extrahosts"):
        if text.startswith("["):
            try:
                found += [str(each) for each in json.loads(text)]
            except (ValueError, RecursionError):
                raise Invalid("error reading extrahosts: it is not JSON") from None
        else:
            found += [each for each in text.split(",") if each]
    return found


def _limits(query: Query) -> dict[str, Any]:
    """What commands may use, as fields of ``HostConfig``."""
    limits: dict[str, Any] = {
        each: number for name, each in _NUMBERS.items() if (number := query.number(name))
    }
    limits |= {each: query.text(name) for name, each in _TEXTS.items() if query.text(name)}
    for name, each in (("ulimits", "Ulimits"), ("securityopt", "SecurityOpt")):
        text = query.text(name)
        if text and text != "null":
            try:
                limits[each] = json.loads(text)
            except (ValueError, RecursionError):
                raise Invalid(f"error reading {name}: it is not JSON") from None
    return limits


def _json_header(call: Call, name: str) -> dict[str, Any]:
    header = call.request.headers.get(name, "")
    try:
        found = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)) or b"{}")
    except (ValueError, binascii.Error, RecursionError):
        raise Invalid(f"invalid {name} header: it is not base64 of JSON") from None
    return found if isinstance(found, dict) else {}


class Pocket:
    """Parcels between their coming and the build that they are for; in memory, for minutes."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, Parcel]] = {}

    def put(self, parcel: Parcel) -> str:
        """Keep it; the word that gets it, once."""
        now = time.monotonic()
        self._kept = {k: v for k, v in self._kept.items() if now - v[0] < _KEPT_SECONDS}
        word = secrets.token_hex(16)
        self._kept[word] = (now, parcel)
        return word

    def take(self, word: str) -> Parcel:
        """What was kept for that word; NotFound."""
        found = self._kept.pop(word, None)
        if found is None:
            raise NotFound("what was handed in for this build is not here any more")
        return found[1]


_POCKET = Pocket()


def _parcel(call: Call) -> Parcel:
    word = call.query.text("parcel")
    return _POCKET.take(word) if word else Parcel()


async def put_parcel(call: Call) -> web.StreamResponse:
    """Take what one build needs beside its context, all of it in base64."""
    content = await read(call.request, _MOST_PARCEL)
    try:
        found = json.loads(content)
        values = {str(k): _bytes(v) for k, v in (found.get("Secrets") or {}).items()}
        text = found.get("Dockerfile")
        parcel = Parcel(values, None if text is None else _bytes(text))
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise Invalid("a parcel must be a JSON object with base64 in it") from None
    return replies.json({"Word": _POCKET.put(parcel)}, 201)


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


async def rootfs(call: Call) -> web.StreamResponse:
    """An image's files as one tar."""

    def write(out: BinaryIO) -> None:
        call.engine.builds.write_files(call.params["name"], out)

    return await stream_from_thread(call, write, "application/x-tar")


async def prune(call: Call) -> web.StreamResponse:
    """Free the build cache."""
    filters = Filters.parse(call.query.text("filters"), _PRUNE)
    moments = [times.until(text) for text in (*filters.all("until"), *filters.all("unused-for"))]
    gone, freed = await call.threads.long(
        call.engine.builds.prune,
        everything=call.query.flag("all"),
        unused_since=min(moments, default=None),
        keep=call.query.number("keep-storage") or 0,
    )
    return replies.json({"CachesDeleted": gone or None, "SpaceReclaimed": freed})


def shown_warning(warning: BuildWarning) -> dict[str, Any]:
    """A warning, and where it stands."""
    return {
        "Rule": warning.rule,
        "Description": warning.description,
        "URL": warning.url,
        "Message": warning.message,
        "File": warning.where.file,
        "Line": warning.where.first,
    }


def shown(row: CacheUsage) -> dict[str, Any]:
    """One entry of ``GET /system/df``'s build cache."""
    return {
        "ID": row.id[:25],
        "Type": row.kind,
        "Description": row.description,
        "InUse": False,
        "Shared": row.shared,
        "Size": row.size,
        "CreatedAt": times.rfc3339(row.created),
        "LastUsedAt": times.rfc3339(row.used),
        "UsageCount": row.uses,
    }


ROUTES = (
    Route("POST", "/build", build),
    Route("POST", "/build/prune", prune),
    Route("GET", "/lading/v1/images/{name...}/rootfs", rootfs),
    Route("POST", "/lading/v1/build", own_build),
    Route("POST", "/lading/v1/build/check", check),
    Route("POST", "/lading/v1/build/parcel", put_parcel),
)
