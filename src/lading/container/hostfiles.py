"""The files that tell a container who and where it is: hosts, hostname, resolv.conf.

They lie beside its root and are bound over /etc, made anew at every start.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from lading.container.record import Container
from lading.network import files
from lading.network.hostdns import host_resolver
from lading.network.values import Sandbox
from lading.runtime.mounts import MountPoint

_HOSTS = Path("/etc/hosts")
_LOOPBACK = "127.0.0.1"
_MOST_SERVERS = 3  # that C libraries ask
PLACES: Mapping[str, str] = {
    "/etc/resolv.conf": "resolv.conf",
    "/etc/hostname": "hostname",
    "/etc/hosts": "hosts",
}


def write(directory: Path, container: Container, sandbox: Sandbox) -> None:
    """Put the three files into *directory*; Invalid for names that would mislead a resolver."""
    texts = {
        "hosts": _hosts(container, sandbox),
        "hostname": files.hostname_text(container.config.hostname),
        "resolv.conf": _resolv_conf(container, sandbox),
    }
    for name, text in texts.items():
        _replace(directory / name, text)


def binds(directory: Path, taken: Collection[str], *, read_only: bool = False) -> list[MountPoint]:
    """The mounts that show them, except where the user mounts something of their own."""
    return [
        MountPoint.bind(str(directory / name), place, recursive=False, read_only=read_only)
        for place, name in PLACES.items()
        if place not in taken
    ]


def _hosts(container: Container, sandbox: Sandbox) -> str:
    extra = [files.ExtraHost.parse(text) for text in container.host.extra_hosts or ()]
    if sandbox.netns is None:
        return files.host_hosts_text(_read(_HOSTS), extra, gateway=_LOOPBACK)
    return files.hosts_text(
        container.config.hostname,
        [endpoint.address for endpoint in sandbox.endpoints if endpoint.address],
        extra,
        domain=container.config.domainname,
        gateway=sandbox.gateway,
    )


def _resolv_conf(container: Container, sandbox: Sandbox) -> str:
    host, here = container.host, host_resolver()
    own = _own_resolvers(sandbox)
    options = host.dns_options or ()
    if own and not options:
        # Docker's: a name without a dot is a container's before it is one of the search domains'.
        kept = [each for each in here.options if not each.startswith("ndots:")]
        options = [*kept, "ndots:0"]
    chosen = files.resolver(
        here,
        servers=own or host.dns or (),
        search=host.dns_search or (),
        options=options,
        private=sandbox.netns is not None,
    )
    return files.resolv_conf_text(chosen)


def _own_resolvers(sandbox: Sandbox) -> list[str]:
    """Who answers for the names of its networks; first those who also ask others."""
    asked = [each for each in sandbox.endpoints if each.resolver]
    asked.sort(key=lambda each: (not each.gateway, -each.priority, each.network))
    return [each.resolver for each in asked[:_MOST_SERVERS]]


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""


def _replace(path: Path, text: str) -> None:
    """Write in place where the file is bound already, so that whoever sees it goes on to."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o644), "w", encoding="utf-8") as file:
        file.write(text)
