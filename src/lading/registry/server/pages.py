"""The pages for people: plain HTML, made here, that needs no script."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from importlib import resources
from urllib.parse import parse_qs, quote, urlsplit

import jinja2
from aiohttp import web

from lading.errors import Denied
from lading.oci.digest import Digest
from lading.registry.server import answers, names, receiving
from lading.registry.server.audit import Audit
from lading.registry.server.call import Call
from lading.registry.server.gate import Gate
from lading.registry.server.portrait import Gallery, Readable
from lading.registry.server.routing import NoSuchPage

_MOST_FORM = 16 * 1024
_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": answers.HEADERS["Server"],
}
_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


class ForgedForm(Denied):
    """Raised for a form that did not come from a page of ours, for this user."""

    def __init__(self) -> None:
        super().__init__("this form is not from here: open the page again")


class MayNot(Denied):
    """Raised for a repository that the user may not see or change."""

    def __init__(self) -> None:
        super().__init__("requested access to the resource is denied")


class Pages:
    """Answers what is not an endpoint of the specification."""

    def __init__(self, gate: Gate, key: bytes, audit: Audit) -> None:
        self._gate, self._key, self._audit = gate, key, audit
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("lading.registry.server"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(size=size, day=day)
        style = resources.files("lading.registry.server") / "templates" / "style.css"
        self._style = style.read_text("utf-8")

    async def answer(self, call: Call) -> web.StreamResponse:
        """The page at the call's path; NoSuchPage."""
        wanted = call.request.method, call.params["path"]
        if wanted == ("GET", "/style.css"):
            return web.Response(text=self._style, content_type="text/css", headers=_HEADERS)
        if wanted == ("GET", "/"):
            return await self._front(call)
        if wanted == ("GET", "/repository"):
            return await self._repository(call)
        if wanted == ("GET", "/image"):
            return await self._image(call)
        if wanted == ("GET", "/delete"):
            return await self._confirm(call)
        if wanted == ("POST", "/delete"):
            return await self._delete(call)
        raise NoSuchPage

    async def _front(self, call: Call) -> web.StreamResponse:
        search = (call.asked("search") or "")[:100]
        after = call.asked("after") or ""
        found, more = await call.run(
            Gallery(call.holdings).repositories, _readable(call), search, after
        )
        return self._page(call, "front", repositories=found, more=more, search=search)

    async def _repository(self, call: Call) -> web.StreamResponse:
        name = _name(call, "pull")
        tags, more = await call.run(Gallery(call.holdings).tags, name, call.asked("after") or "")
        return self._page(call, "repository", name=name, tags=tags, more=more)

    async def _image(self, call: Call) -> web.StreamResponse:
        name = _name(call, "pull")
        reference = _reference(call.asked("reference") or "")
        portrait = await call.run(Gallery(call.holdings).portrait, name, reference, _readable(call))
        host = urlsplit(f"//{call.request.host}").netloc
        return self._page(
            call,
            "image",
            name=name,
            reference=str(reference),
            at="@" if isinstance(reference, Digest) else ":",
            image=portrait,
            host=host,
            may_delete=call.principal.may("delete", name),
        )

    async def _confirm(self, call: Call) -> web.StreamResponse:
        name = _name(call, "delete")
        reference = _reference(call.asked("reference") or "")
        entry = await call.run(call.holdings.manifests.find, name, reference)
        tags = await call.run(call.holdings.manifests.tags_of, name, entry.digest)
        return self._page(
            call,
            "delete",
            name=name,
            reference=str(reference),
            is_tag=isinstance(reference, str),
            tags=tags,
            seal=self._seal(call, name, str(reference)),
        )

    async def _delete(self, call: Call) -> web.StreamResponse:
        raw = await receiving.whole(call.request, _MOST_FORM)
        form = parse_qs(raw.decode("utf-8", "replace"), max_num_fields=10)
        name, text, seal = (form.get(key, [""])[0] for key in ("repository", "reference", "seal"))
        if not hmac.compare_digest(seal.encode(), self._seal(call, name, text).encode()):
            raise ForgedForm
        if not call.principal.may("delete", names.repository(name)):
            raise MayNot
        reference = _reference(text)
        if isinstance(reference, str):
            await call.run(call.holdings.manifests.untag, name, reference)
        else:
            await call.run(call.holdings.manifests.remove, name, reference)
        self._audit.note(
            *("manifest deleted", call.principal.name, call.request.remote or ""),
            name=name,
            reference=text,
        )
        headers = {**_HEADERS, "Location": f"/repository?name={quote(name)}"}
        return web.Response(status=303, headers=headers)

    def _seal(self, call: Call, name: str, reference: str) -> str:
        """Proves that the form was made for this user, this thing, and the name we go by."""
        text = "\0".join((call.principal.name, call.request.host, name, reference))
        return hmac.new(self._key, b"form\0" + text.encode(), hashlib.sha256).hexdigest()

    def _page(self, call: Call, template: str, **facts: object) -> web.StreamResponse:
        page = self._templates.get_template(f"{template}.html")
        return web.Response(
            text=page.render(user=call.principal.name, **facts),
            content_type="text/html",
            charset="utf-8",
            headers=_HEADERS,
        )


def size(count: int) -> str:
    """*count* bytes for people: ``1.2 MB``."""
    number, unit = float(count), 0
    while number >= 1000 and unit < len(_UNITS) - 1:
        number /= 1000
        unit += 1
    return f"{count} bytes" if unit == 0 else f"{number:.3g} {_UNITS[unit]}"


def day(moment: float) -> str:
    """*moment* for people: ``2026-05-01 12:30 UTC``."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment))


def _readable(call: Call) -> Readable:
    return lambda name: call.principal.may("pull", name)


def _name(call: Call, action: str) -> str:
    name = names.repository(call.asked("name") or "")
    if not call.principal.may(action, name):
        raise MayNot
    return name


def _reference(text: str) -> Digest | str:
    return Digest.parse(text) if ":" in text else names.tag(text)
