"""The daemon: one process in the foreground that owns one root and answers on one socket.

It is crash-only: stopping it leaves the containers running, and killing it is no worse.
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
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from aiohttp import web

from lading.api.call import Edge
from lading.api.feed import Feed
from lading.api.inotify import Inotify
from lading.api.listen import group, listen
from lading.api.notify import activated_sockets, notify
from lading.api.routes import ROUTES
from lading.api.server import make_server
from lading.api.threads import Threads
from lading.engine.engine import Engine
from lading.errors import Conflict, LadingError
from lading.settings import Settings

_LOG = logging.getLogger(__name__)
_PATIENCE = 10.0  # seconds for requests that are being answered when the daemon stops
_LOCK = "daemon.lock"


class RootInUse(Conflict):
    """Raised where another daemon owns the root."""

    def __init__(self, root: Path, owner: str) -> None:
        told = f" (process {owner})" if owner.isdigit() else ""
        super().__init__(f"another lading daemon{told} is using the root {root}")


def run(settings: Settings) -> int:
    """Serve until SIGTERM, SIGINT or a reset; answers the process's exit code."""
    _set_up_logging(debug=settings.debug)
    _set_up_process()
    try:
        with _root_owned(settings), ExitStack() as undo:
            listeners = activated_sockets() or [_own_socket(settings, undo)]
            engine = Engine(settings)
            engine.open()
            undo.callback(engine.close)
            asyncio.run(_serve(engine, listeners))
    except (LadingError, OSError) as error:
        _LOG.debug("start failed", exc_info=True)
        sys.stderr.write(f"lading: {error}\n")
        return 1
    # A thread in the middle of a job must not keep the process: what it does can be cut off.
    logging.shutdown()
    os._exit(0)


def _set_up_logging(*, debug: bool) -> None:
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def _set_up_process() -> None:
    os.umask(0o022)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextmanager
def _root_owned(settings: Settings) -> Iterator[None]:
    """Hold the root against a second daemon; RootInUse."""
    settings.root.mkdir(mode=0o710, parents=True, exist_ok=True)
    settings.root.chmod(0o710)
    settings.run_root.mkdir(mode=0o710, parents=True, exist_ok=True)
    settings.run_root.chmod(0o710)
    os.chown(settings.run_root, -1, group())
    fd = os.open(settings.root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RootInUse(settings.root, os.pread(fd, 20, 0).decode().strip()) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(fd)


def _own_socket(settings: Settings, undo: ExitStack) -> socket.socket:
    listener = listen(settings.host)
    undo.callback(settings.socket.unlink, missing_ok=True)
    return listener


async def _serve(engine: Engine, listeners: list[socket.socket]) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    edge = Edge(engine, Threads(), Feed(engine.bus, loop), Inotify(loop), loop, stop=stopping.set)
    server = make_server(edge, ROUTES)
    acceptors = [await loop.create_unix_server(server, sock=each) for each in listeners]
    gc.collect()
    gc.freeze()  # what start-up made stays: the collector need not look at it again
    notify("READY=1")
    _LOG.info("serving %s", engine.settings.host)
    await stopping.wait()
    notify("STOPPING=1")
    for acceptor in acceptors:
        acceptor.close()
    await _drain(edge, server)
    edge.close()


async def _drain(edge: Edge, server: web.Server) -> None:
    """Cut off what never ends by itself, and let the rest be answered."""
    for task in list(edge.endless):
        task.cancel()
    await asyncio.sleep(0)
    await server.shutdown(_PATIENCE)
