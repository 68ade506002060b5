"""An instance's packet rules, as text for nftables.  Pure.

One table holds them all, and is replaced whole.  A published port is an element of a
map and a bridge an element of a set, so that neither a packet nor a start costs more
with the number of containers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network

EVERY_ADDRESS = "0.0.0.0"


@dataclass(frozen=True, slots=True)
class Bridged:
    """A bridge and the addresses behind it."""

    interface: str
    subnet: IPv4Network
    talks: bool = True  # among its own
    masquerades: bool = True
    internal: bool = False
    resolver: str = ""  # the address that answers for names there, "" for none


@dataclass(frozen=True, slots=True)
class Forward:
    """A published port: from an address and port of the host to those of a container."""

    proto: str
    host_ip: str  # EVERY_ADDRESS for each of the host's
    host_port: int
    address: str
    port: int

    @property
    def where(self) -> tuple[str, str]:
        """The map that it belongs in, and its key there."""
        key = f"{self.proto} . {self.host_port}"
        if self.host_ip == EVERY_ADDRESS:
            return "published", key
        return "published_at", f"{self.host_ip} . {key}"


def table_text(table: str, bridges: Iterable[Bridged], forwards: Iterable[Forward]) -> str:
    """Replace the whole of *table*, in one transaction: no packet sees it half made."""
    every = list(bridges)
    asked = [b for b in every if b.resolver]
    return (
        f"add table inet {table}\n"
        f"delete table inet {table}\n"
        + _TABLE.format(
            table=table,
            bridges=_elements(f'"{b.interface}"' for b in every),
            internal=_elements(f'"{b.interface}"' for b in every if b.internal),
            subnets=_elements(str(b.subnet) for b in every),
            masked=_elements(str(b.subnet) for b in every if b.masquerades),
            talking=_elements(f'"{b.interface}" . "{b.interface}"' for b in every if b.talks),
            resolving=_elements(b.resolver for b in asked),
            resolvers=_elements(f'"{b.interface}" . {b.resolver}' for b in asked),
        )
        + publish_text(table, forwards)
    )


def remove_text(table: str) -> str:
    """Remove *table*, whether it is there or not."""
    return f"add table inet {table}\ndelete table inet {table}\n"


def publish_text(table: str, forwards: Iterable[Forward]) -> str:
    """Add the ports of a container; all or none."""
    return "".join(
        f"add element inet {table} {name} {{ {key} : {f.address} . {f.port} }}\n"
        for f in forwards
        for name, key in (f.where,)
    )


def withdraw_text(table: str, forwards: Iterable[Forward]) -> str:
    """Take the ports of a container away; all or none, and all have to be there."""
    return "".join(
        f"delete element inet {table} {name} {{ {key} }}\n"
        for f in forwards
        for name, key in (f.where,)
    )


def _elements(each: Iterable[str]) -> str:
    text = ", ".join(each)
    return f"elements = {{ {text} }}" if text else ""


# Why each rule is there:
# - early: route_localnet on our bridges lets 127/8 through the routing code, so it is stopped
#   here from anywhere but lo.  Before conntrack: answers to the host's own loopback clients
#   are still addressed to the bridge at this point.
# - publish: for whoever addresses the host: from outside, from containers, from the host itself.
# - leave: the host's loopback clients, and containers that reach a container by a published port
#   (the answer would else go straight to the asker, who knows nothing of the other address), then
#   everything that leaves for elsewhere.
# - inward: nothing comes in that was not asked for, published, or from the same bridge; other
#   bridges are elsewhere.
# - forward: a closed network's containers reach nobody elsewhere, by no published port either.
# - asked: a network's names are for its own containers, and one that is closed has no other
#   resolver on this host.
# - outward: what conntrack cannot follow is not translated either, and would carry the
#   container's own address outside.
_TABLE = """\
table inet {table} {{
  set bridges {{ type ifname; {bridges}; }}
  set internal {{ type ifname; {internal}; }}
  set talking {{ type ifname . ifname; {talking}; }}
  set subnets {{ type ipv4_addr; flags interval; {subnets}; }}
  set masked {{ type ipv4_addr; flags interval; {masked}; }}
  set resolving {{ type ipv4_addr; {resolving}; }}
  set resolvers {{ type ifname . ipv4_addr; {resolvers}; }}
  map published {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
  map published_at {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }}
  chain early {{
    type filter hook prerouting priority -300; policy accept;
    iifname @bridges ip saddr 127.0.0.0/8 drop
    iifname @bridges ip daddr 127.0.0.0/8 drop
  }}
  chain arriving {{
    type nat hook prerouting priority -100; policy accept;
    fib daddr type local goto publish
  }}
  chain local {{
    type nat hook output priority -100; policy accept;
    fib daddr type local goto publish
  }}
  chain publish {{
    dnat ip to ip daddr . meta l4proto . th dport map @published_at
    dnat ip to meta l4proto . th dport map @published
  }}
  chain leave {{
    type nat hook postrouting priority 100; policy accept;
    oifname @bridges ip saddr 127.0.0.0/8 masquerade
    oifname @bridges ip saddr @subnets ct status dnat masquerade
    oifname != @bridges ip saddr @masked masquerade
  }}
  chain asked {{
    type filter hook input priority 0; policy accept;
    iifname @internal meta l4proto {{ tcp, udp }} th dport 53 iifname . ip daddr != @resolvers drop
    iifname @bridges ip daddr @resolving meta l4proto {{ tcp, udp }} th dport 53 \
      iifname . ip daddr != @resolvers drop
  }}
  chain forward {{
    type filter hook forward priority 0; policy accept;
    iifname @internal iifname . oifname != @talking drop
    oifname @internal iifname . oifname != @talking drop
    oifname @bridges goto inward
    iifname @bridges goto outward
  }}
  chain inward {{
    ct state established,related accept
    ct status dnat accept
    iifname . oifname @talking accept
    drop
  }}
  chain outward {{
    ct state invalid drop
  }}
}}
"""
