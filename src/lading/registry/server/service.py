"""The registry's process: it owns one root, listens, and cleans up while it serves.

It is crash-only: what was acknowledged is durable, and a start sweeps what a crash left.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import logging
import os
import resource
import signal
import socket
import sqlite3
import ssl
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from aiohttp import web

from lading.errors import Conflict, LadingError
from lading.registry.server.app import App, Parts
from lading.registry.server.audit import Audit
from lading.registry.server.collector import Collector, empty
from lading.registry.server.gate import Gate
from lading.registry.server.holdings import Holdings, open_root
from lading.registry.server.metrics import Metrics
from lading.registry.server.pages import Pages
from lading.registry.server.scrub import Scrubber
from lading.registry.server.settings import Address, RegistrySettings
from lading.registry.server.tokens import Tokens, key_at
from lading.registry.server.users import read_htpasswd

_LOG = logging.getLogger(__name__)
_THREADS = 16
_BUFFER = 512 * 1024
_BACKLOG = 512
_PATIENCE = 10.0  # seconds for requests that are being answered at the end
_LONGEST_LINE = 64 * 1024


class RootInUse(Conflict):
    """Raised where another registry serves the root."""

    def __init__(self, root: Path) -> None:
        super().__init__(f"another registry is serving {root}")


def serve(settings: RegistrySettings) -> None:
    """Serve until SIGTERM or SIGINT; LadingError or OSError when it cannot start."""
    logging.basicConfig(
        level=logging.DEBUG if settings.debug else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with ExitStack() as undo:
        settings.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        undo.enter_context(_owned(settings.root))
        for folder in ("staging", "trash"):
            empty(settings.root / folder)
        holdings = open_root(
            settings.root, undo, clock=time.time, repository_quota=settings.repository_quota
        )
        parts = _parts(settings, holdings, undo)
        listeners = [undo.enter_context(_listener(address)) for address in settings.addresses]
        asyncio.run(_run(settings, parts, listeners))


@contextmanager
def _owned(root: Path) -> Iterator[None]:
    """Hold the root against a second server; RootInUse.  Commands may work beside it."""
    fd = os.open(root / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise RootInUse(root) from None
    finally:
        os.close(fd)


def _parts(settings: RegistrySettings, holdings: Holdings, undo: ExitStack) -> Parts:
    others = read_htpasswd(settings.htpasswd) if settings.htpasswd else ()
    has_users = bool(others or holdings.users.all())
    gate = Gate(
        holdings.users,
        Tokens(key_at(settings.root / "token.key"), settings.service),
        open_to_all=settings.open_to_all(has_users=has_users),
        anonymous_pull=settings.anonymous_pull,
        others=others,
    )
    threads = ThreadPoolExecutor(_THREADS, "registry")
    undo.callback(threads.shutdown)
    audit = Audit(settings.root / "audit.log")
    undo.callback(audit.close)
    metrics = Metrics(holdings.database)
    pages = Pages(gate, key_at(settings.root / "token.key"), audit)
    return Parts(holdings, gate, threads, audit, metrics, pages)


async def _run(settings: RegistrySettings, parts: Parts, listeners: list[socket.socket]) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    server = web.Server(
        App(parts),
        handler_cancellation=True,
        access_log=None,
        auto_decompress=False,
        read_bufsize=_BUFFER,
        max_line_size=_LONGEST_LINE,
        max_field_size=_LONGEST_LINE,
        lingering_time=2.0,
    )
    context = _tls(settings)
    background = [asyncio.create_task(job) for job in _jobs(settings, parts)]
    acceptors = [
        await loop.create_server(server, sock=each, ssl=context, backlog=_BACKLOG)
        for each in listeners
    ]
    gc.freeze()
    scheme = "https" if context else "http"
    for each in listeners:
        host, port, *_ = each.getsockname()
        _LOG.info("serving %s on %s://%s", settings.root, scheme, Address(host, port))
    await stopping.wait()
    for acceptor in acceptors:
        acceptor.close()
    for task in background:
        task.cancel()
    await server.shutdown(_PATIENCE)


def _listener(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address.host, address.port))
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen on {address}: {error.strerror}") from None
    listener.setblocking(False)
    return listener


def _tls(settings: RegistrySettings) -> ssl.SSLContext | None:
    if settings.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.tls_cert, settings.tls_key)
    return context


def _jobs(settings: RegistrySettings, parts: Parts) -> list[Coroutine[None, None, None]]:
    """What goes on in the background for as long as the server runs."""
    holdings = parts.holdings
    collector = Collector(
        *(holdings.store, holdings.database, holdings.turnstile), grace=settings.grace
    )
    scrubber = Scrubber(holdings.store, holdings.database, holdings.turnstile)

    def collect() -> None:
        holdings.uploads.sweep(settings.upload_expiry)
        swept = collector.collect()
        parts.metrics.count("collected_bytes", swept.bytes)
        if swept.blobs or swept.links or swept.manifests:
            _LOG.info("collected %d blobs, %d bytes", len(swept.blobs), swept.bytes)

    def scrub() -> None:
        digest = scrubber.due(settings.scrub_every)
        if digest is not None and not scrubber.scrub(digest):
            parts.metrics.count("damaged_blobs")
            names = ", ".join(scrubber.repositories(digest)[:10])
            _LOG.error("blob %s of %s must be pushed again", digest, names)

    def sweep() -> None:
        collector.sweep_strays()

    return [
        _every(parts, None, sweep),
        _every(parts, settings.collect_every, collect),
        _every(parts, 1.0, scrub),
    ]


async def _every(parts: Parts, seconds: float | None, job: Callable[[], None]) -> None:
    """Do *job* in a thread, again and again, or once; a failure does not end it."""
    loop = asyncio.get_running_loop()
    while True:
        if seconds is not None:
            await asyncio.sleep(seconds)
        try:
            await loop.run_in_executor(parts.threads, job)
        except (LadingError, OSError, sqlite3.Error):
            _LOG.exception("%s failed", job.__name__)
        if seconds is None:
            return
