"""The networks of an instance of its own, who speaks there, and what they may not leave."""

from __future__ import annotations

import os
import selectors
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

import pytest

from lading.linux.namespaces import inside, make_netns, remove_netns
from lading.network import asking, links
from lading.network.netlink import Netlink
from lading.network.networks import Networks
from lading.network.values import (
    AttachRequest,
    EndpointRequest,
    Network,
    NetworkMode,
    PortRequest,
    Sandbox,
)
from lading.network.wishes import NetworkRequest
from lading.settings import Settings
from lading.store.database import Database

_SECONDS = 5.0
_OUTSIDE_HOST = IPv4Interface("198.51.100.1/24")  # TEST-NET-2
_OUTSIDE_PEER = IPv4Interface("198.51.100.2/24")


class NetworkBox:
    """Networks on a root of their own; containers are mere IDs, their sockets the test's."""

    def __init__(self, directory: Path, subnet: str | None = None) -> None:
        self.settings = Settings(root=directory / "root", run_root=directory / "run", subnet=subnet)
        self.settings.root.mkdir(parents=True)
        self.settings.run_root.mkdir()
        self._database = Database(self.settings.state_db)
        self._stack = ExitStack()
        self.networks = Networks(self.settings, self._database)

    @property
    def bridge(self) -> str:
        return self.networks.find("bridge").interface

    @property
    def table(self) -> str:
        return f"lading-{self.settings.instance}"

    def again(self, live: Collection[str] = (), subnet: str | None = None) -> None:
        """The engine stops, and another starts."""
        self.networks.close()
        settings = Settings(self.settings.root, self.settings.run_root, subnet=subnet)
        self.networks = Networks(settings, self._database)
        self.networks.open(live)

    def attach(
        self,
        name: str,
        *ports: PortRequest,
        mode: str = "bridge",
        mac: str | None = None,
        joins: str | None = None,
        on: Sequence[EndpointRequest | str] | None = None,
    ) -> Sandbox:
        """Attach the container `id_of(name)`, which holds its ports as its monitor would."""
        endpoints = [e if isinstance(e, EndpointRequest) else EndpointRequest(e) for e in on or ()]
        request = AttachRequest(
            *(name, NetworkMode.parse(mode), ports, mac, joins),
            endpoints=None if on is None else tuple(endpoints),
        )
        attachment = self.networks.attach(id_of(name), request)
        for held in attachment.sockets:
            self._stack.enter_context(held)
        return attachment.sandbox

    def let_go(self) -> None:
        """The monitors end, and hold no port any more."""
        self._stack.close()

    def close(self) -> None:
        """Remove all of it."""
        self.let_go()
        self.networks.clear()
        self._database.close()

    def leavings(self) -> list[str]:
        """What is still there of this instance."""
        return [*self.links(), *self.mounts(), *self._tables(), *map(str, self.servers())]

    def create(self, name: str, **asked: Any) -> Network:
        """A network of its own."""
        return self.networks.create(NetworkRequest(name, **asked))

    def servers(self) -> list[int]:
        """The PIDs of the name servers of this instance."""
        return name_servers(self.settings.run_root)

    def links(self) -> list[str]:
        return [n for n in os.listdir("/sys/class/net") if self.settings.instance in n]

    def mounts(self) -> list[str]:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        points = [line.split()[4] for line in lines]
        return [point for point in points if point.startswith(str(self.settings.run_root))]

    def _tables(self) -> list[str]:
        return [line for line in nft("list", "tables").splitlines() if self.table in line]


@contextmanager
def network_boxes(directory: Path) -> Iterator[Callable[..., NetworkBox]]:
    """Make boxes beneath *directory*; they are gone without a trace afterwards."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    made: list[NetworkBox] = []

    def make(**options: str) -> NetworkBox:
        box = NetworkBox(directory / f"box{len(made)}", **options)
        made.append(box)
        return box

    try:
        yield make
    finally:
        for box in made:
            box.close()
    assert [each for box in made for each in box.leavings()] == []


def name_servers(run_root: Path) -> list[int]:
    """The PIDs of the name servers that read below a directory."""
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = command.read_bytes().split(b"\0")
            if b"aardvark" in words[0] and any(os.fsencode(run_root) in word for word in words):
                found.append(int(command.parent.name))
    return found


def resolve(name: str, server: str, source: Path | str | None) -> list[str]:
    """The addresses that *server* has for *name*, asked from a namespace; [] for none."""
    question = asking.question(7, name)

    def asked() -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(2.0)
            s.connect((server, 53))
            s.send(question)
            return s.recv(4096)

    answer = inside(str(source), asked) if source else asked()
    count = struct.unpack_from(">H", answer, 6)[0]
    return [
        socket.inet_ntoa(answer[at + 12 : at + 16])
        for at in (len(question) + 16 * number for number in range(count))
    ]


def id_of(name: str) -> str:
    return name.encode().hex().ljust(64, "0")


def nft(*words: str) -> str:
    return subprocess.run(["nft", *words], check=True, capture_output=True, text=True).stdout


def await_true(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert true()


@contextmanager
def serving(where: Sandbox | Path, port: int, says: str, *, udp: bool = False) -> Iterator[None]:
    """A server that answers everybody with *says* and the address that it sees."""
    kind = socket.SOCK_DGRAM if udp else socket.SOCK_STREAM

    def bound() -> socket.socket:
        server = socket.socket(socket.AF_INET, kind)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("0.0.0.0", port))
        return server

    stop_here, stop_there = socket.socketpair()
    netns = where if isinstance(where, Path) else str(where.netns)
    with inside(netns, bound) as server, stop_here, stop_there:
        if not udp:
            server.listen()
        thread = threading.Thread(target=_serve, args=(server, stop_there, says, udp))
        thread.start()
        try:
            yield
        finally:
            stop_here.close()
            thread.join()


def _serve(server: socket.socket, stop: socket.socket, says: str, udp: bool) -> None:
    with selectors.DefaultSelector() as waiting:
        waiting.register(server, selectors.EVENT_READ)
        waiting.register(stop, selectors.EVENT_READ)
        while all(key.fileobj is server for key, _ in waiting.select()):
            with suppress(OSError):
                _answer(server, says, udp)


def _answer(server: socket.socket, says: str, udp: bool) -> None:
    if udp:
        _, peer = server.recvfrom(64)
        server.sendto(f"{says} {peer[0]}".encode(), peer)
        return
    client, peer = server.accept()
    with client:
        client.sendall(f"{says} {peer[0]}".encode())


def ask(
    host: str,
    port: int,
    *,
    udp: bool = False,
    source: Path | str | None = None,
    seconds: float = 2.0,
) -> str:
    """What a server answers, asked from the host or the namespace *source*; OSError."""

    def asked() -> str:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as s:
            s.settimeout(seconds)
            s.connect((host, port))
            if udp:
                s.send(b"?")
            return s.recv(256).decode()

    return inside(source, asked) if source else asked()


@contextmanager
def outside(directory: Path) -> Iterator[tuple[Path, str]]:
    """A neighbour of this host: its namespace, and the address it knows the host by."""
    path, host_end = directory / "outside", f"out{os.getpid() % 10**8}"
    with Netlink() as wire, ExitStack() as stack:
        make_netns(path)
        stack.callback(remove_netns, path)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            links.add_veth(wire, host_end, 0, "eth0", descriptor)
        finally:
            os.close(descriptor)
        stack.callback(links.remove, wire, host_end)
        index = socket.if_nametoindex(host_end)
        links.add_address(wire, index, _OUTSIDE_HOST)
        links.set_up(wire, index)
        inside(path, _neighbour)
        yield path, str(_OUTSIDE_HOST.ip)


def _neighbour() -> None:
    with Netlink() as wire:
        links.set_up(wire, 1)
        index = socket.if_nametoindex("eth0")
        links.configure(
            wire, index, _OUTSIDE_PEER, "02:00:00:00:00:02", IPv4Address(_OUTSIDE_HOST.ip)
        )
