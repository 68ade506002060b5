"""Bring a monitor's socket from an engine's thread to a bridge in the event loop."""

from __future__ import annotations

import asyncio
import socket

from lading.api.bridge import Bridge


class Joining:
    """The meeting of the two; either may be there first."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._socket: socket.socket | None = None
        self._bridge: Bridge | None = None
        self._closed = False

    def arrived(self, monitor: socket.socket) -> None:
        """Called in the engine's thread, with a socket that is ours from now on."""
        try:
            self._loop.call_soon_threadsafe(self._join, monitor)
        except RuntimeError:  # the loop has closed
            monitor.close()

    def lead_to(self, bridge: Bridge) -> None:
        """The socket is for *bridge*."""
        self._bridge = bridge
        if self._socket is not None:
            bridge.connect(self._socket)
            self._socket = None

    def close(self) -> None:
        """It is over; a socket that still comes is closed."""
        self._closed = True
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._bridge is not None:
            self._bridge.finish("gone")

    def _join(self, monitor: socket.socket) -> None:
        if self._closed:
            monitor.close()
        elif self._bridge is not None:
            self._bridge.connect(monitor)
        else:
            self._socket = monitor
