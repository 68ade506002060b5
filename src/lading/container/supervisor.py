"""Notice the end of processes, and the passing of time, in one thread for all containers.

What is to be done then runs in a few other threads, so that a slow one delays nobody.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from lading.linux.process import ProcessRef, reap

_LOG = logging.getLogger(__name__)
_THREADS = 8

Action = Callable[[], None]
Receive = Callable[[bytes], None]
_MOST_PACKET = 64 * 1024


class Supervisor:
    """Call back when a process has ended or a time has come."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._lock = threading.Lock()
        self._watched: dict[int, tuple[int, Action]] = {}  # by pidfd: the PID, what to do
        self._heard: dict[int, tuple[socket.socket, Receive]] = {}
        self._timers: list[tuple[float, int, Action]] = []
        self._order = itertools.count()
        self._closing = False
        self._workers = ThreadPoolExecutor(_THREADS, thread_name_prefix="container")
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._thread.start()

    def watch(self, process: ProcessRef, action: Action) -> None:
        """Run *action* once when *process* has ended, which may be now."""
        pidfd = process.open()
        if pidfd is None:
            self.do(action)
            return
        with self._lock:
            self._watched[pidfd] = (process.pid, action)
        self._epoll.register(pidfd, select.EPOLLIN)

    def read(self, connection: socket.socket, receive: Receive) -> None:
        """Hand over every packet that comes, and an empty one at the end, when it is closed.

        *receive* is called in the supervisor's own thread: it must be quick.
        """
        connection.setblocking(False)
        with self._lock:
            self._heard[connection.fileno()] = (connection, receive)
        self._epoll.register(connection, select.EPOLLIN)

    def after(self, seconds: float, action: Action) -> Action:
        """Run *action* in so many seconds, unless the returned function is called before."""
        timer = (time.monotonic() + seconds, next(self._order), action)
        with self._lock:
            heapq.heappush(self._timers, timer)
        self._nudge()
        return lambda: self._cancel(timer)

    def do(self, action: Action) -> None:
        """Run *action* soon, in another thread."""
        with suppress(RuntimeError):  # closing: whoever comes next finds what is left to do
            self._workers.submit(_logged, action)

    def close(self) -> None:
        """Watch no more; what has begun is finished first."""
        self._closing = True
        self._nudge()
        self._thread.join()
        self._workers.shutdown(wait=True, cancel_futures=True)
        for pidfd in self._watched:
            os.close(pidfd)
        for connection, _ in self._heard.values():
            connection.close()
        self._epoll.close()
        os.close(self._wake)

    def _nudge(self) -> None:
        os.eventfd_write(self._wake, 1)

    def _cancel(self, timer: tuple[float, int, Action]) -> None:
        with self._lock, suppress(ValueError):
            self._timers.remove(timer)
            heapq.heapify(self._timers)

    def _run(self) -> None:
        while not self._closing:
            for fd, _ in self._epoll.poll(self._until_next()):
                if fd == self._wake:
                    os.eventfd_read(self._wake)
                elif fd in self._heard:
                    self._receive(fd)
                else:
                    self._has_ended(fd)
            for action in self._due():
                self.do(action)

    def _until_next(self) -> float:
        with self._lock:
            if not self._timers:
                return -1
            return max(0.0, self._timers[0][0] - time.monotonic())

    def _due(self) -> list[Action]:
        now = time.monotonic()
        actions = []
        with self._lock:
            while self._timers and self._timers[0][0] <= now:
                actions.append(heapq.heappop(self._timers)[2])
        return actions

    def _receive(self, fd: int) -> None:
        connection, receive = self._heard[fd]
        try:
            packet = connection.recv(_MOST_PACKET)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        if not packet:
            self._epoll.unregister(fd)
            with self._lock:
                del self._heard[fd]
            connection.close()
        _logged(partial(receive, packet))

    def _has_ended(self, pidfd: int) -> None:
        self._epoll.unregister(pidfd)
        with self._lock:
            pid, action = self._watched.pop(pidfd)
        os.close(pidfd)
        reap(pid)
        self.do(action)


def _logged(action: Action) -> None:
    try:
        action()
    except Exception:
        _LOG.exception("what was to be done for a container failed")
