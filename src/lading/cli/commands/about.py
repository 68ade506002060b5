"""``lading info`` and ``lading version``: what the engine is, and what it runs on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping

from lading import __version__
from lading.cli.client import Client
from lading.cli.command import Command
from lading.cli.faults import Fault
from lading.cli.flags import TEXT, Arguments, Flag
from lading.cli.rows import formatted
from lading.cli.units import binary_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = Mapping[str, Any]

API_VERSION = "1.50"
_FORMAT_HELP = "Format output: 'json' or a Go template"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def version(arguments: Arguments, client: Client) -> int:
    """Show both sides' versions; where no engine answers this side's, and 1."""
    own = _own_version()
    server, error = _asked(client, "/version")
    form = arguments.text("format")
    if form:
        print(formatted({"Client": _Side(own), "Server": server and _Side(server)}, form))
    else:
        print("\n".join(_client_lines(own)))
        if server is not None:
            print("\n" + "\n".join(_server_lines(server)))
    if error is not None:
        raise error
    return 0


def describe(arguments: Arguments, client: Client) -> int:
    """Show what the engine says of itself and its host; its warnings go to stderr."""
    own = {"Version": __version__, "Context": "default", "Debug": False, "Plugins": []}
    found, error = _asked(client, "/info")
    form = arguments.text("format")
    if form:
        print(formatted({**(found or {}), "ClientInfo": own}, form))
    else:
        print(f"Client:\n Version:    {__version__}\n Host:       {client.host}\n\nServer:")
        if found is not None:
            print("\n".join(_info_lines(found)))
            _warn(found.get("Warnings") or ())
    if error is not None:
        raise error
    return 0


def _asked(client: Client, path: str) -> tuple[Json | None, Fault | None]:
    try:
        return client.get(path), None
    except Fault as error:
        return None, error


def _warn(warnings: Iterable[str]) -> None:
    sys.stdout.flush()
    for warning in warnings:
        print(f"\n{warning}", file=sys.stderr)


# -- version ---------------------------------------------------------------------------------


class _Side:
    """One side's versions as templates see them: by the names of Docker's structures in Go."""

    type_name = "types.Version"
    _NAMES: Mapping[str, str] = {"APIVersion": "ApiVersion"}

    def __init__(self, versions: Json) -> None:
        self._versions = versions

    def field(self, name: str) -> object:
        return self._versions[self._NAMES.get(name, name)]

    def fields(self) -> Json:
        return self._versions


def _own_version() -> dict[str, str]:
    release = sys.version_info
    machine = os.uname().machine
    return {
        "Version": __version__,
        "ApiVersion": API_VERSION,
        "DefaultAPIVersion": API_VERSION,
        "GitCommit": "",
        "GoVersion": f"python{release.major}.{release.minor}.{release.micro}",
        "Os": "linux",
        "Arch": _ARCHITECTURES.get(machine, machine),
        "BuildTime": "",
        "Context": "default",
    }


def _client_lines(own: Mapping[str, str]) -> Iterator[str]:
    yield "Client: lading"
    yield f" Version:           {own['Version']}"
    yield f" API version:       {own['ApiVersion']}"
    yield f" Python version:    {own['GoVersion'].removeprefix('python')}"
    yield f" OS/Arch:           {own['Os']}/{own['Arch']}"


def _server_lines(server: Json) -> Iterator[str]:
    platform = (server.get("Platform") or {}).get("Name", "")
    yield f"Server: {platform}".rstrip()
    for component in server.get("Components") or ():
        yield f" {component['Name']}:"
        yield f"  Version:          {component['Version']}"
        details = component.get("Details") or {}
        for label, value in _details(details) if component["Name"] == "Engine" else details.items():
            yield f"  {label + ':':<17} {value}"


def _details(details: Json) -> Iterator[tuple[str, str]]:
    """The engine's own, in Docker's words."""
    least = details.get("MinAPIVersion", "")
    yield "API version", f"{details.get('ApiVersion', '')} (minimum version {least})"
    yield "Python version", str(details.get("GoVersion", "")).removeprefix("python")
    yield "OS/Arch", f"{details.get('Os', '')}/{details.get('Arch', '')}"
    yield "Kernel version", details.get("KernelVersion", "")


# -- info ------------------------------------------------------------------------------------

_COUNTS = {
    " Containers": "Containers",
    "  Running": "ContainersRunning",
    "  Paused": "ContainersPaused",
    "  Stopped": "ContainersStopped",
    " Images": "Images",
    " Server Version": "ServerVersion",
    " Storage Driver": "Driver",
}
_CGROUPS = {
    " Logging Driver": "LoggingDriver",
    " Cgroup Driver": "CgroupDriver",
    " Cgroup Version": "CgroupVersion",
}
_HOST = {
    " Kernel Version": "KernelVersion",
    " Operating System": "OperatingSystem",
    " OSType": "OSType",
    " Architecture": "Architecture",
    " CPUs": "NCPU",
}
_ENGINE = {
    " Name": "Name",
    " ID": "ID",
    " Docker Root Dir": "DockerRootDir",
    " Debug Mode": "Debug",
    " Live Restore Enabled": "LiveRestoreEnabled",
}


def _info_lines(found: Json) -> Iterator[str]:
    yield from _labelled(found, _COUNTS)
    yield from (f"  {name}: {value}" for name, value in found.get("DriverStatus") or ())
    yield from _labelled(found, _CGROUPS)
    yield " Plugins:"
    for kind, names in (found.get("Plugins") or {}).items():
        if names:
            yield f"  {kind}: {' '.join(names)}"
    yield f" Runtimes: {' '.join(found.get('Runtimes') or {})}"
    yield from _labelled(
        found, {" Default Runtime": "DefaultRuntime", " Init Binary": "InitBinary"}
    )
    yield f" {found.get('DefaultRuntime', '')} version: {_commit(found)}"
    yield " Security Options:"
    for option in found.get("SecurityOptions") or ():
        yield from _security(option)
    yield from _labelled(found, _HOST)
    yield f" Total Memory: {binary_size(found.get('MemTotal', 0))}"
    yield from _labelled(found, _ENGINE)


def _labelled(found: Json, labels: Mapping[str, str]) -> Iterator[str]:
    for label, name in labels.items():
        value = found.get(name, "")
        yield f"{label}: {str(value).lower() if isinstance(value, bool) else value}"


def _commit(found: Json) -> str:
    return str((found.get("RuncCommit") or {}).get("ID", ""))


def _security(option: str) -> Iterator[str]:
    """``name=seccomp,profile=builtin``, as Docker shows it."""
    for part in option.split(","):
        key, _, value = part.partition("=")
        yield f"  {value}" if key == "name" else f"   {key.capitalize()}: {value}"


COMMANDS = {
    "info": Command(
        describe,
        "[OPTIONS]",
        example="lading info --format '{{.Driver}}'",
        flags=(Flag("format", TEXT, _FORMAT_HELP, short="f"),),
    ),
    "version": Command(
        version,
        "[OPTIONS]",
        example="lading version --format '{{.Server.Version}}'",
        flags=(Flag("format", TEXT, _FORMAT_HELP, short="f"),),
    ),
}
