"""What the network package speaks of, as frozen values.

Wishes come in (`AttachRequest`), facts go out (`Sandbox` with its `Endpoint`s and
`PortBinding`s).  A sandbox is one container's network namespace; it has one endpoint
for each network the container is on, so that a second network needs no new shape.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from lading.errors import Invalid

PROTOCOLS = ("tcp", "udp", "sctp")
PREDEFINED = ("bridge", "host", "none")
_BRIDGE = "com.docker.network.bridge"
BRIDGE_NAME = f"{_BRIDGE}.name"
ICC = f"{_BRIDGE}.enable_icc"
MASQUERADE = f"{_BRIDGE}.enable_ip_masquerade"
HOST_BINDING = f"{_BRIDGE}.host_binding_ipv4"
MTU = "com.docker.network.driver.mtu"
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.IGNORECASE)


class InvalidNetworkMode(Invalid):
    """Raised for a ``--network`` that cannot be meant."""


class InvalidMac(Invalid):
    """Raised for a ``--mac-address`` that is none."""


@dataclass(frozen=True, slots=True)
class NetworkMode:
    """What ``HostConfig.NetworkMode`` asks for.

    *kind* is ``bridge`` (the default bridge), ``none``, ``host``, ``container`` or
    ``network`` (a user's network); *name* is the container's or network's reference.
    """

    kind: str
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> NetworkMode:
        """Read ``bridge``, ``container:web``, ``mynet``...; ``""`` and ``default`` mean bridge."""
        if text in ("", "default", "bridge"):
            return cls("bridge")
        if text in ("none", "host"):
            return cls(text)
        kind, colon, name = text.partition(":")
        if kind == "container":
            if not name:
                raise InvalidNetworkMode(
                    "invalid network mode: invalid container format container:<name|id>"
                )
            return cls("container", name)
        if colon:
            raise InvalidNetworkMode(f"invalid network mode: {text}")
        return cls("network", text)

    @property
    def is_private(self) -> bool:
        """Whether the container gets a network namespace of its own."""
        return self.kind in ("bridge", "none", "network")

    def __str__(self) -> str:
        return (
            self.kind
            if not self.name
            else (f"container:{self.name}" if self.kind == "container" else self.name)
        )


@dataclass(frozen=True, slots=True)
class Network:
    """A network that containers can be on; its record is this value.

    *driver* is ``bridge``, ``host`` or ``null``; *subnet*, *gateway* and *interface* (the
    bridge's name on the host) are ``""`` where there are none.
    """

    id: str  # 64 hex digits
    name: str
    driver: str
    created: str  # RFC 3339, UTC
    subnet: str = ""
    gateway: str = ""
    interface: str = ""
    internal: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    configured: bool = False  # whether the user chose the subnet
    ip_range: str = ""  # what addresses are given out of, "" for the whole subnet
    reserved: Mapping[str, str] = field(default_factory=dict)  # addresses never given out
    attachable: bool = False  # shown as asked: here containers can be put on any network

    @property
    def predefined(self) -> bool:
        """Whether it is one that every engine has."""
        return self.name in PREDEFINED

    @property
    def has_names(self) -> bool:
        """Whether containers on it find each other by name: the default bridge has none."""
        return self.driver == "bridge" and not self.predefined

    @property
    def mtu(self) -> int:
        """0 for what the kernel chooses."""
        return int(self.options.get(MTU, "0"))

    @property
    def talks(self) -> bool:
        """Whether its containers may talk to each other."""
        return truth(self.options.get(ICC, "true"))

    @property
    def masquerades(self) -> bool:
        """Whether its containers are seen outside as this host."""
        return truth(self.options.get(MASQUERADE, "true")) and not self.internal


@dataclass(frozen=True, slots=True)
class PortRequest:
    """One port to publish.

    *host_ip* is ``""`` for every address; *host_port* None asks for any free port, and
    *host_port_end* for the first free one from *host_port* to there.
    """

    container_port: int
    proto: str = "tcp"
    host_ip: str = ""
    host_port: int | None = None
    host_port_end: int | None = None


@dataclass(frozen=True, slots=True)
class PortBinding:
    """A port that is published: *host_ip* is ``0.0.0.0`` for every address."""

    container_port: int
    proto: str
    host_ip: str
    host_port: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A container's place on one network."""

    id: str  # 64 hex digits
    network_id: str
    network: str  # its name
    interface: str = ""  # within the container; "" on none and host
    host_interface: str = ""
    address: str = ""
    prefix_length: int = 0
    gateway: str = ""
    mac: str = ""
    aliases: tuple[str, ...] = ()
    links: tuple[str, ...] = ()  # CONTAINER:ALIAS
    resolver: str = ""  # who answers for names, "" on networks that have none
    priority: int = 0  # the highest leads out


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A container's network namespace, what it is connected to, and what is published.

    *netns* is the path to join, None for the host's own namespace.  With
    ``container:X`` it is X's, and there are no endpoints.
    """

    container_id: str
    name: str
    mode: str
    netns: str | None = None
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[PortBinding, ...] = ()
    hostname: str = ""
    dns: tuple[str, ...] = ()  # the servers to ask for what is no container's name

    @property
    def way_out(self) -> Endpoint | None:
        """The endpoint that the default route and published ports use; None: there is no way."""
        leading = [each for each in self.endpoints if each.gateway]
        return min(leading, key=lambda each: (-each.priority, each.network), default=None)

    @property
    def address(self) -> str:
        """Where it is reached; ``""`` when nowhere."""
        first = next((e.address for e in self.endpoints if e.address), "")
        return self.way_out.address if self.way_out else first

    @property
    def gateway(self) -> str:
        return self.way_out.gateway if self.way_out else ""

    def endpoint(self, network_id: str) -> Endpoint | None:
        """Its place on one network."""
        return next((e for e in self.endpoints if e.network_id == network_id), None)


@dataclass(frozen=True, slots=True)
class EndpointRequest:
    """What a container wants of one network; *address* is ``""`` for any."""

    network: str
    address: str = ""
    mac: str | None = None
    aliases: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    priority: int = 0


@dataclass(frozen=True, slots=True)
class AttachRequest:
    """What a container wants of the network.

    *name* is the container's (without a slash).  *joins* is the full ID of the container
    meant by ``container:X``: whoever resolves names has resolved it.  *endpoints* are the
    networks to be on, None for what the mode alone says.
    """

    name: str
    mode: NetworkMode = field(default_factory=lambda: NetworkMode("bridge"))
    ports: tuple[PortRequest, ...] = ()
    mac: str | None = None
    joins: str | None = None
    endpoints: tuple[EndpointRequest, ...] | None = None
    hostname: str = ""
    dns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attachment:
    """The sandbox, and the bound sockets that hold its published ports.

    The sockets are the caller's: hand their descriptors to the container's monitor,
    which keeps the ports held when the engine goes, then `close`.
    """

    sandbox: Sandbox
    sockets: tuple[socket.socket, ...] = ()

    @property
    def descriptors(self) -> tuple[int, ...]:
        return tuple(s.fileno() for s in self.sockets)

    def close(self) -> None:
        """Let go of this process's share of the held ports."""
        for held in self.sockets:
            held.close()


def parse_mac(text: str) -> str:
    """A unicast Ethernet address in lower case with colons; InvalidMac otherwise."""
    mac = text.replace("-", ":").lower()
    if not _MAC.fullmatch(mac):
        raise InvalidMac(f"invalid MAC address: {text}")
    if int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        raise InvalidMac(f"invalid MAC address (not unicast): {text}")
    return mac


def truth(text: str) -> bool:
    """What a driver's switch says, as Go reads it; a ValueError for anything else."""
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise ValueError(text)
