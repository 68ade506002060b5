"""Ports of the host, held by bound sockets as long as a container publishes them.

Packets for a published port never come to these sockets: the packet filter sends them
on before.  The sockets keep the port from everybody else, and being held by the
container's monitor they go on doing so when the engine is away.

None of them listens.  An IPv6 client of a port published on every address, whom the
packet filter does not send on, is so refused at once and tries IPv4.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import threading
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

from lading.errors import Conflict, Invalid, Unsupported
from lading.network.rules import EVERY_ADDRESS
from lading.network.values import PortBinding, PortRequest

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_KINDS = {
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}


class PortTaken(Conflict):
    """Raised where a port of the host is somebody's."""

    def __init__(self, request: PortRequest, port: int) -> None:
        super().__init__(
            f"Bind for {request.host_ip or EVERY_ADDRESS}:{port} failed: port is already allocated"
        )


class NoPortLeft(Conflict):
    """Raised where every port that would do is somebody's."""

    def __init__(self, request: PortRequest) -> None:
        where = request.host_ip or EVERY_ADDRESS
        super().__init__(f"Bind for {where}:0 failed: all ports are allocated")


class AddressNotHere(Invalid):
    """Raised for a host address that this host does not have."""


class CannotPublish(Unsupported):
    """Raised for a protocol or address family that cannot be published here."""


class Holds:
    """Which ports this engine publishes; thread safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[tuple[str, int], set[str]] = {}
        self._next = 0

    def hold(
        self, requests: Sequence[PortRequest]
    ) -> tuple[list[PortBinding], list[socket.socket]]:
        """Bind a socket for each of *requests*, or for none of them.

        PortTaken, NoPortLeft, AddressNotHere, CannotPublish.
        """
        bindings: list[PortBinding] = []
        sockets: list[socket.socket] = []
        with self._lock, ExitStack() as undo:
            for request in requests:
                binding, held = self._hold(request)
                undo.callback(held.close)
                undo.callback(self._forget, binding)
                bindings.append(binding)
                sockets.append(held)
            undo.pop_all()
        return bindings, sockets

    def remember(self, bindings: Iterable[PortBinding]) -> None:
        """Note what a container, found running, publishes: its monitor has the sockets."""
        with self._lock:
            for binding in bindings:
                self._note(binding)

    def release(self, bindings: Iterable[PortBinding]) -> None:
        """Forget that these are published; idempotent."""
        with self._lock:
            for binding in bindings:
                self._forget(binding)

    def _hold(self, request: PortRequest) -> tuple[PortBinding, socket.socket]:
        _check_family(request)
        for port in self._candidates(request):
            if self._is_held(request, port):
                continue
            held = _bind(request, port)
            if held is not None:
                binding = PortBinding(
                    request.container_port, request.proto, request.host_ip or EVERY_ADDRESS, port
                )
                self._note(binding)
                self._next = port + 1 if request.host_port is None else self._next
                return binding, held
        if request.host_port is None or request.host_port_end is not None:
            raise NoPortLeft(request)
        raise PortTaken(request, request.host_port)

    def _candidates(self, request: PortRequest) -> Iterable[int]:
        if request.host_port is not None:
            return range(request.host_port, (request.host_port_end or request.host_port) + 1)
        first, last = (int(word) for word in _EPHEMERAL.read_text().split())
        start = self._next if first <= self._next <= last else first
        return chain(range(start, last + 1), range(first, start))

    def _is_held(self, request: PortRequest, port: int) -> bool:
        where = self._held.get((request.proto, port), set())
        here = request.host_ip or EVERY_ADDRESS
        return bool(where) and (here == EVERY_ADDRESS or bool(where & {here, EVERY_ADDRESS}))

    def _note(self, binding: PortBinding) -> None:
        self._held.setdefault((binding.proto, binding.host_port), set()).add(binding.host_ip)

    def _forget(self, binding: PortBinding) -> None:
        key = (binding.proto, binding.host_port)
        where = self._held.get(key, set())
        where.discard(binding.host_ip)
        if not where:
            self._held.pop(key, None)


def _check_family(request: PortRequest) -> None:
    if request.host_ip and ipaddress.ip_address(request.host_ip).version == 6:
        raise CannotPublish(
            f"publishing on an IPv6 address is not supported yet: {request.host_ip}"
        )


def _bind(request: PortRequest, port: int) -> socket.socket | None:
    """A socket bound to the port, None when somebody else has it."""
    with ExitStack() as undo:
        held = undo.enter_context(_open(request))
        if request.proto == "udp":
            held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)  # nobody ever reads it
        else:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind((_family_address(request, held.family), port))
            if request.proto != "udp":
                _keep_closed(held)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return None
            raise _untold(request, port, error) from None
        undo.pop_all()
        return held


def _open(request: PortRequest) -> socket.socket:
    """For every address a socket of both families, so that the port is held in both."""
    kind, protocol = _KINDS[request.proto]
    if not request.host_ip and request.proto != "sctp" and socket.has_dualstack_ipv6():
        both = socket.socket(socket.AF_INET6, kind, protocol)
        both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        return both
    try:
        return socket.socket(socket.AF_INET, kind, protocol)
    except OSError as error:
        if error.errno in (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
            raise CannotPublish(
                f"cannot publish {request.container_port}/{request.proto}: "
                f"this kernel has no {request.proto.upper()}"
            ) from None
        raise


def _family_address(request: PortRequest, family: int) -> str:
    return "::" if family == socket.AF_INET6 else request.host_ip or EVERY_ADDRESS


def _keep_closed(held: socket.socket) -> None:
    """Keep the port for this socket alone, though it was bound with SO_REUSEADDR and is closed.

    Without that option, connections that linger in TIME_WAIT from a server before us would
    keep the port from us for a minute.  With it, another socket could bind the port too, so it
    is made to listen for a moment, which is refused where somebody else does, and ends the
    sharing; shut down it answers nobody, and stays bound.
    """
    held.listen(1)
    held.shutdown(socket.SHUT_RDWR)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)


def _untold(request: PortRequest, port: int, error: OSError) -> Exception:
    where = f"{request.host_ip or EVERY_ADDRESS}:{port}"
    if error.errno == errno.EADDRNOTAVAIL:
        return AddressNotHere(
            f"listen {request.proto}4 {where}: bind: cannot assign requested address"
        )
    return CannotPublish(
        f"listen {request.proto}4 {where}: bind: {os.strerror(error.errno or 0).lower()}"
    )
