"""One request as the handlers see it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from aiohttp import web

from lading.errors import Invalid
from lading.oci.digest import Digest
from lading.registry.server.holdings import Holdings
from lading.registry.server.rights import Principal

P = ParamSpec("P")
T = TypeVar("T")


class BadQuery(Invalid):
    """Raised for a query that says two things at once."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the query names {name!r} more than once")


@dataclass(slots=True)
class Call:
    """A request, what its path and query say, who sent it, and where to find things."""

    request: web.BaseRequest
    holdings: Holdings
    threads: ThreadPoolExecutor
    principal: Principal
    params: Mapping[str, str]
    query: Mapping[str, list[str]]
    notes: dict[str, str] = field(default_factory=dict)  # for the audit log

    @property
    def repository(self) -> str:
        return self.params["name"]

    @property
    def digest(self) -> Digest:
        """The digest in the path; InvalidDigest."""
        return Digest.parse(self.params["digest"])

    def asked(self, name: str) -> str | None:
        """The query's one value for *name*; BadQuery where there are several."""
        values = self.query.get(name, [])
        if len(values) > 1:
            raise BadQuery(name)
        return values[0] if values else None

    async def run(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what waits for a disk in a thread; also when cancelled it returns after the job."""
        loop = asyncio.get_running_loop()
        doing = loop.run_in_executor(self.threads, lambda: job(*args, **kwargs))
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            await asyncio.wait([doing])
            raise


Handler = Callable[[Call], Awaitable[web.StreamResponse]]
