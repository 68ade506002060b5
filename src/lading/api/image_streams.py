"""Images on their way in and out: load, save, import, and a first one made here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO

from aiohttp import web

from lading.api import replies
from lading.api.call import Call
from lading.api.inflow import body_of
from lading.api.lines import Emit, stream_lines
from lading.api.outflow import stream_from_thread
from lading.api.references import repo_and_tag
from lading.api.router import Route
from lading.errors import Invalid, NotFound, Unsupported
from lading.image import archive, bootstrap, flat
from lading.image.image import Image
from lading.image.progress import Listener, Progress
from lading.oci.platform import Platform
from lading.oci.reference import Reference

_TAR = "application/x-tar"


async def load(call: Call) -> web.StreamResponse:
    """Take an archive; what came of it is told line by line."""
    quiet = call.query.flag("quiet")
    async with body_of(call.request) as content:

        def work(emit: Emit) -> None:
            progress = _nobody if quiet else shows(emit)
            for loaded in archive.load(call.engine.library, content, on_progress=progress):
                emit({"stream": _told(loaded)})

        return await stream_lines(call, work)


def _told(loaded: archive.Loaded) -> str:
    """One line for each name that an image has now, or its ID where it has none."""
    if not loaded.names:
        return f"Loaded image ID: {loaded.image}\n"
    return "".join(f"Loaded image: {name.familiar}\n" for name in loaded.names)


def shows(emit: Emit) -> Listener:
    """Tell progress as Docker's clients draw it."""

    def listen(progress: Progress) -> None:
        line: dict[str, Any] = {"status": progress.status}
        if progress.id:
            line["id"] = progress.id
        if progress.total or progress.current:
            line["progressDetail"] = {"current": progress.current, "total": progress.total}
        emit(line)

    return listen


def _nobody(progress: Progress) -> None:
    """Nothing is told."""


async def save_one(call: Call) -> web.StreamResponse:
    return await _save(call, [call.params["name"]])


async def save_several(call: Call) -> web.StreamResponse:
    names = call.query.all("names")
    if not names:
        raise Invalid("no images to save are named")
    return await _save(call, names)


async def _save(call: Call, names: list[str]) -> web.StreamResponse:
    def write(out: BinaryIO) -> None:
        archive.save(call.engine.library, names, out)

    return await stream_from_thread(call, write, _TAR)


async def create(call: Call) -> web.StreamResponse:
    """``docker import``; what is pulled goes another way."""
    source = call.query.text("fromSrc")
    if not source:
        raise Invalid("neither an image to pull nor a source to import is named")
    if source != "-":
        raise Unsupported("importing from an address is not supported: download it first")
    return await _import(call)


async def _import(call: Call) -> web.StreamResponse:
    reference = repo_and_tag(call.query.text("repo"), call.query.text("tag"))
    platform = call.query.text("platform")
    async with body_of(call.request) as content:
        image = await call.threads.long(
            flat.import_tar,
            call.engine.library,
            content,
            reference=reference,
            changes=call.query.all("changes"),
            message=call.query.text("message"),
            platform=Platform.parse(platform) if platform else None,
        )
    return replies.json({"status": str(image.id)})


async def bootstrap_image(call: Call) -> web.StreamResponse:
    """A first image without a registry; its last line says what it is called."""
    make = _maker(call)
    tag = call.query.text("tag")
    reference = Reference.parse(tag) if tag else None

    def work(emit: Emit) -> None:
        image = make(reference, shows(emit))
        names = [n.familiar for n in call.engine.library.names(image.id) if n.digest is None]
        wanted = reference.familiar if reference else next(iter(names), "")
        emit({"aux": {"ID": str(image.id), "Tag": wanted}})

    return await stream_lines(call, work)


def _maker(call: Call) -> Callable[[Reference | None, Listener], Image]:
    library, kind = call.engine.library, call.query.text("kind")
    if kind == "busybox":
        return lambda name, told: bootstrap.busybox(library, reference=name, on_progress=told)
    if kind == "debian":
        suite = call.query.text("suite")
        return lambda name, told: bootstrap.debian(
            library, suite=suite, reference=name, on_progress=told
        )
    raise NotFound(f"no such kind of base image: {kind[:80]!r}: busybox or debian")


ROUTES = (
    Route("POST", "/images/load", load),
    Route("GET", "/images/get", save_several),
    Route("GET", "/images/{name...}/get", save_one),
    Route("POST", "/lading/v1/images/bootstrap", bootstrap_image),
)
