"""``lading ps``: list containers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lading.cli.client import Client
from lading.cli.command import Command
from lading.cli.faults import Misuse
from lading.cli.flags import LIST, NUMBER, SWITCH, TEXT, Arguments, Flag
from lading.cli.quoting import quote
from lading.cli.rows import Shape, render
from lading.cli.units import ellipsis, local_time, short_id, since, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Item = Mapping[str, Any]

FORMAT_HELP = "Format output: 'table', 'table TEMPLATE', 'json' or a Go template"


def run(arguments: Arguments, client: Client) -> int:
    """Ask for the list, and show it."""
    form = arguments.text("format")
    last = 1 if arguments.on("latest") and not arguments.given("last") else arguments.number("last")
    with_size = arguments.on("size") or ".Size" in form
    items = client.get(
        "/containers/json",
        all=arguments.on("all") or last > 0,
        limit=last if last > 0 else None,
        size=with_size and not arguments.on("quiet"),
        filters=filters(arguments.many("filter")),
    )
    quiet = "ID" if arguments.on("quiet") else ""
    listed = shape(trunc=not arguments.on("no-trunc"), size=arguments.on("size"))
    print(render(listed, items, form, quiet=quiet), end="")
    return 0


def filters(given: Iterable[str]) -> dict[str, list[str]]:
    """``--filter name=value`` as the API takes it."""
    found: dict[str, list[str]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise Misuse(
                f'invalid argument "{text}" for "-f, --filter" flag: bad format of filter'
                " (expected name=value)"
            )
        found.setdefault(name.strip().lower(), []).append(value.strip())
    return found


def shape(*, trunc: bool, size: bool = False) -> Shape:
    """What ``ps`` knows of a container."""
    columns = ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"]
    return Shape(
        "*formatter.ContainerContext",
        {
            "ID": ("CONTAINER ID", lambda c: short_id(c["Id"]) if trunc else c["Id"]),
            "Names": ("NAMES", lambda c: _names(c, trunc=trunc)),
            "Image": ("IMAGE", lambda c: _image(c, trunc=trunc)),
            "Command": ("COMMAND", lambda c: _command(c, trunc=trunc)),
            "CreatedAt": ("CREATED AT", lambda c: local_time(c["Created"])),
            "RunningFor": ("CREATED", lambda c: since(c["Created"])),
            "Ports": ("PORTS", _ports),
            "State": ("STATE", lambda c: c.get("State", "")),
            "Status": ("STATUS", lambda c: c.get("Status", "")),
            "Size": ("SIZE", _size),
            "Labels": ("LABELS", _labels),
            "Mounts": ("MOUNTS", lambda c: _mounts(c, trunc=trunc)),
            "LocalVolumes": ("LOCAL VOLUMES", _local_volumes),
            "Networks": ("NETWORKS", _networks),
            "HealthStatus": ("HEALTH STATUS", _health),
        },
        [*columns, "Size"] if size else columns,
        methods={"Label": lambda c, name: (c.get("Labels") or {}).get(name, "")},
        hidden=("HealthStatus",),
    )


def _names(container: Item, *, trunc: bool) -> str:
    names = [name.removeprefix("/") for name in container.get("Names") or ()]
    if trunc:
        return next((name for name in names if "/" not in name), "")
    return ",".join(names)


def _image(container: Item, *, trunc: bool) -> str:
    image = str(container.get("Image") or "<no image>")
    if not trunc:
        return image
    if short_id(container.get("ImageID") or "-") == short_id(image):
        return short_id(image)
    return image.partition("@")[0]


def _command(container: Item, *, trunc: bool) -> str:
    command = container.get("Command") or ""
    return quote(ellipsis(command, 20) if trunc else command)


def _size(container: Item) -> str:
    written, whole = container.get("SizeRw") or 0, container.get("SizeRootFs") or 0
    return f"{size(written, 3)} (virtual {size(whole, 3)})" if whole > 0 else size(written, 3)


def _labels(container: Item) -> str:
    return ",".join(sorted(f"{k}={v}" for k, v in (container.get("Labels") or {}).items()))


def _mounts(container: Item, *, trunc: bool) -> str:
    names = [
        mount.get("Name") or mount.get("Source", "") for mount in container.get("Mounts") or ()
    ]
    return ",".join(ellipsis(name, 15) if trunc else name for name in names)


def _local_volumes(container: Item) -> str:
    return str(sum(mount.get("Driver") == "local" for mount in container.get("Mounts") or ()))


def _networks(container: Item) -> str:
    return ",".join((container.get("NetworkSettings") or {}).get("Networks") or {})


def _health(container: Item) -> str:
    """From the text of the status, which carries it in parentheses."""
    health = str(container.get("Status", "")).partition("(")[2]
    health = health.removesuffix(")").removeprefix("health: ")
    return health if health in ("healthy", "unhealthy", "starting") else ""


def _ports(container: Item) -> str:
    return ports(container.get("Ports") or ())


def ports(found: Iterable[Item]) -> str:
    """``0.0.0.0:80->80/tcp, 9000-9002/tcp``: ranges where neighbours follow one another."""
    groups: list[list[Any]] = []  # [address, type, first, last]
    mapped: list[str] = []
    for port in sorted(found, key=_port_order):
        private, public, address = port["PrivatePort"], port.get("PublicPort", 0), port.get("IP")
        if address and public != private:
            mapped.append(f"{_host(address)}:{public}->{private}/{port['Type']}")
            continue
        key = [address or "", port["Type"]]
        group = next((g for g in reversed(groups) if g[:2] == key), None)
        if group is not None and private == group[3] + 1:
            group[3] = private
        else:
            groups.append([*key, private, private])
    return ", ".join([_group(*group) for group in groups] + mapped)


def _port_order(port: Item) -> tuple[object, ...]:
    return (port["PrivatePort"], port.get("IP") or "", port.get("PublicPort", 0), port["Type"])


def _group(address: str, kind: str, first: int, last: int) -> str:
    text = str(first) if first == last else f"{first}-{last}"
    return f"{_host(address)}:{text}->{text}/{kind}" if address else f"{text}/{kind}"


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


COMMANDS = {
    "ps": Command(
        run,
        "[OPTIONS]",
        example="lading ps -a --filter status=exited",
        flags=(
            Flag("all", SWITCH, "Show all containers (default shows just running)", short="a"),
            Flag("filter", LIST, "Filter output based on conditions provided", short="f"),
            Flag("format", TEXT, FORMAT_HELP),
            Flag(
                "last",
                NUMBER,
                "Show n last created containers (includes all states)",
                short="n",
                default=-1,
            ),
            Flag("latest", SWITCH, "Show the latest created container", short="l"),
            Flag("no-trunc", SWITCH, "Don't truncate output"),
            Flag("quiet", SWITCH, "Only display container IDs", short="q"),
            Flag("size", SWITCH, "Display total file sizes", short="s"),
        ),
    )
}
