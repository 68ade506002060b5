"""What the registry counts, in the text format of Prometheus."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator

from aiohttp import web

from lading.registry.server.call import Call
from lading.store.database import Database

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_GAUGES = (
    ("lading_registry_blobs", "Blobs kept.", "SELECT COUNT(*) FROM blobs"),
    ("lading_registry_bytes", "Bytes kept.", "SELECT COALESCE(SUM(size), 0) FROM blobs"),
    ("lading_registry_manifests", "Manifests kept.", "SELECT COUNT(*) FROM manifests"),
    ("lading_registry_tags", "Tags.", "SELECT COUNT(*) FROM tags"),
    ("lading_registry_uploads", "Uploads in progress.", "SELECT COUNT(*) FROM uploads"),
)
_METHODS = frozenset(("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"))


class Metrics:
    """Counters of this process, and gauges of the root."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._seconds: dict[str, float] = {}
        self._events: Counter[str] = Counter()

    def answered(self, part: str, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        known = method if method in _METHODS else "other"
        with self._lock:
            self._requests[part, known, status] += 1
            self._seconds[part] = self._seconds.get(part, 0.0) + seconds

    def count(self, event: str, number: int = 1) -> None:
        """Count what happened in the background: ``collected_bytes``, ``damaged``."""
        with self._lock:
            self._events[event] += number

    async def answer(self, call: Call) -> web.StreamResponse:
        """GET /metrics."""
        body = await call.run(self.text)
        return web.Response(body=body.encode(), headers={"Content-Type": _TEXT})

    def text(self) -> str:
        """Everything, one line each."""
        return "\n".join([*self._counters(), *self._gauges()]) + "\n"

    def _counters(self) -> Iterator[str]:
        with self._lock:
            requests, seconds = sorted(self._requests.items()), sorted(self._seconds.items())
            events = sorted(self._events.items())
        yield "# TYPE lading_registry_requests_total counter"
        for (part, method, status), number in requests:
            labels = f'part="{part}",method="{method}",status="{status}"'
            yield f"lading_registry_requests_total{{{labels}}} {number}"
        yield "# TYPE lading_registry_request_seconds_total counter"
        for part, total in seconds:
            yield f'lading_registry_request_seconds_total{{part="{part}"}} {total:.6f}'
        for event, number in events:
            yield f"# TYPE lading_registry_{event}_total counter"
            yield f"lading_registry_{event}_total {number}"

    def _gauges(self) -> Iterator[str]:
        for name, help, sql in _GAUGES:
            yield f"# HELP {name} {help}"
            yield f"# TYPE {name} gauge"
            yield f"{name} {self._database.query(sql)[0][0]}"
