"""The networks that every engine has: bridge, host and none, with IDs that never change."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace

from lading.image.times import rfc3339
from lading.network.values import Network
from lading.store.records import Records

BRIDGE, HOST, NONE = "bridge", "host", "none"
_DRIVERS = {BRIDGE: "bridge", HOST: "host", NONE: "null"}


def predefined(records: Records[Network], interface: str) -> dict[str, Network]:
    """The three by name; what is not recorded yet is, durably, on return.

    *interface* is what the bridge's link is called on this host, which may not be where the
    record was made.
    """
    known = {network.name: network for network in records.all().values()}
    found = {name: known.get(name) or _new(name) for name in _DRIVERS}
    found[BRIDGE] = replace(found[BRIDGE], interface=interface, options=_options(interface))
    for name, network in found.items():
        if network != known.get(name):
            records.put(network.id, network)
    return found


def _new(name: str) -> Network:
    return Network(secrets.token_hex(32), name, _DRIVERS[name], rfc3339(time.time_ns()))


def _options(interface: str) -> dict[str, str]:
    """What Docker says of its default bridge, as far as it is true of ours."""
    prefix = "com.docker.network.bridge"
    return {
        f"{prefix}.default_bridge": "true",
        f"{prefix}.enable_icc": "true",
        f"{prefix}.enable_ip_masquerade": "true",
        f"{prefix}.host_binding_ipv4": "0.0.0.0",
        f"{prefix}.name": interface,
    }
