"""What Docker has and lading has not: answered as an engine without Swarm and plugins does."""

from __future__ import annotations

from aiohttp import web

from lading.api import replies
from lading.api.call import Call
from lading.api.router import Route
from lading.errors import NotFound, Unavailable, Unsupported


class NoSwarm(Unavailable):
    """Raised for everything that needs a Swarm, in Docker's words."""

    def __init__(self) -> None:
        super().__init__(
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" '
            "to connect this node to swarm and try again."
        )


class NotInSwarm(Unavailable):
    """Raised on leaving a Swarm, in Docker's words."""

    def __init__(self) -> None:
        super().__init__("This node is not part of a swarm")


class PluginNotFound(NotFound):
    """Raised for every plugin, in Docker's words."""

    def __init__(self, name: str) -> None:
        super().__init__(f'plugin "{name}" not found')


async def no_swarm(call: Call) -> web.StreamResponse:
    raise NoSwarm


async def not_in_swarm(call: Call) -> web.StreamResponse:
    raise NotInSwarm


async def no_swarm_here(call: Call) -> web.StreamResponse:
    raise Unsupported("lading has no swarm mode")


async def no_plugins(call: Call) -> web.StreamResponse:
    return replies.json([])


async def no_such_plugin(call: Call) -> web.StreamResponse:
    raise PluginNotFound(call.params.get("name", ""))


async def no_plugins_here(call: Call) -> web.StreamResponse:
    raise Unsupported("lading has no plugins")


async def no_session(call: Call) -> web.StreamResponse:
    raise Unsupported(
        "BuildKit sessions are not supported by lading: build without them (DOCKER_BUILDKIT=0)"
    )


_SWARM = (
    ("GET", "/swarm"),
    ("POST", "/swarm/update"),
    ("GET", "/swarm/unlockkey"),
    ("POST", "/swarm/unlock"),
    ("GET", "/services"),
    ("POST", "/services/create"),
    ("GET", "/services/{id}"),
    ("DELETE", "/services/{id}"),
    ("POST", "/services/{id}/update"),
    ("GET", "/services/{id}/logs"),
    ("GET", "/tasks"),
    ("GET", "/tasks/{id}"),
    ("GET", "/tasks/{id}/logs"),
    *(
        entry
        for kind in ("nodes", "secrets", "configs")
        for entry in (
            ("GET", f"/{kind}"),
            ("GET", f"/{kind}/{{id}}"),
            ("DELETE", f"/{kind}/{{id}}"),
            ("POST", f"/{kind}/{{id}}/update"),
        )
    ),
    ("POST", "/secrets/create"),
    ("POST", "/configs/create"),
)

ROUTES = (
    *(Route(method, pattern, no_swarm) for method, pattern in _SWARM),
    Route("POST", "/swarm/init", no_swarm_here),
    Route("POST", "/swarm/join", no_swarm_here),
    Route("POST", "/swarm/leave", not_in_swarm),
    Route("GET", "/plugins", no_plugins),
    Route("GET", "/plugins/privileges", no_plugins),
    Route("POST", "/plugins/pull", no_plugins_here),
    Route("POST", "/plugins/create", no_plugins_here),
    Route("GET", "/plugins/{name...}/json", no_such_plugin),
    Route("DELETE", "/plugins/{name...}", no_such_plugin),
    *(
        Route("POST", f"/plugins/{{name...}}/{verb}", no_such_plugin)
        for verb in ("enable", "disable", "upgrade", "push", "set")
    ),
    Route("POST", "/session", no_session),
    Route("POST", "/grpc", no_session),
)
