"""``POST /commit``, and lading's own, which says what the image does not hold."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from lading.api import body, replies
from lading.api.call import Call
from lading.api.references import repo_and_tag
from lading.api.router import Route
from lading.container.commit import CommitRequest, Committed
from lading.container.options import Config
from lading.errors import Invalid

_NO_CONFIG = Config(image="\0")  # no client can send this one


async def commit(call: Call) -> web.StreamResponse:
    """As Docker answers."""
    made = await _committed(call, strict=False)
    return replies.json({"Id": str(made.image_id)}, 201)


async def own_commit(call: Call) -> web.StreamResponse:
    """With the pause, and everything that the container has beside its files."""
    made = await _committed(call, strict=call.query.flag("strict"))
    return replies.json(shown(made), 201)


async def _committed(call: Call, *, strict: bool) -> Committed:
    config = await body.read_json(call.request, Config, default=_NO_CONFIG)
    container = call.query.text("container")
    if not container:
        raise Invalid("no container to commit is named")
    request = CommitRequest(
        reference=repo_and_tag(call.query.text("repo"), call.query.text("tag")),
        comment=call.query.text("comment"),
        author=call.query.text("author"),
        changes=tuple(call.query.all("changes")),
        pause=call.query.flag("pause", default=True) or not call.query.text("pause"),
        strict=strict,
        config=None if config in (_NO_CONFIG, Config()) else config,
    )
    return await call.threads.long(call.engine.containers.commit, container, request)


def shown(made: Committed) -> dict[str, Any]:
    return {
        "Id": str(made.image_id),
        "PausedMs": made.paused_ms,
        "NotIncluded": [
            {"Kind": each.kind, "Name": each.name, "Destination": each.destination}
            | ({} if each.size is None else {"Size": each.size})
            for each in made.not_included
        ],
    }


ROUTES = (
    Route("POST", "/commit", commit),
    Route("POST", "/lading/v1/commit", own_commit),
)
