"""``lading volume create``, ``ls`` and ``rm``."""

from __future__ import annotations

from collections.abc import Mapping

from lading.cli.client import Client
from lading.cli.command import ANY, Command
from lading.cli.commands.ps import FORMAT_HELP, filters
from lading.cli.faults import Fault
from lading.cli.flags import LIST, SWITCH, TEXT, Arguments, Flag
from lading.cli.options.variables import pairs
from lading.cli.references import reference
from lading.cli.rows import Shape, render
from lading.cli.several import each
from lading.cli.units import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Item = Mapping[str, Any]

_UNKNOWN = "N/A"


def create(arguments: Arguments, client: Client) -> int:
    """Make the volume (it may be there already), and print its name."""
    body = {
        "Name": "".join(arguments.operands),
        "Driver": arguments.text("driver"),
        "DriverOpts": pairs(arguments.many("opt")),
        "Labels": pairs(arguments.many("label")),
    }
    print(client.post("/volumes/create", body)["Name"])
    return 0


def list_(arguments: Arguments, client: Client) -> int:
    """Ask for the list, and show it by name."""
    found = client.get("/volumes", filters=filters(arguments.many("filter")))["Volumes"] or ()
    rows = sorted(found, key=lambda volume: str(volume["Name"]))
    quiet = "Name" if arguments.on("quiet") else ""
    print(render(shape(), rows, arguments.text("format"), quiet=quiet), end="")
    return 0


def remove(arguments: Arguments, client: Client) -> int:
    """Remove every volume named."""
    force = arguments.on("force")

    def act(name: str) -> None:
        if not name.strip():
            raise Fault("invalid volume name: value is empty")
        client.delete(f"/volumes/{reference(name)}", force=force)

    return each(arguments.operands, act)


def shape(*columns: str) -> Shape:
    """What the lists know of a volume."""
    unused = ("Availability", "Group", "Status")
    return Shape(
        "*formatter.volumeContext",
        {
            "Name": ("VOLUME NAME", lambda v: v["Name"]),
            "Driver": ("DRIVER", lambda v: v["Driver"]),
            "Scope": ("SCOPE", lambda v: v.get("Scope", "")),
            "Mountpoint": ("MOUNTPOINT", lambda v: v.get("Mountpoint", "")),
            "Labels": ("LABELS", _labels),
            "Links": ("LINKS", lambda v: _used(v, "RefCount")),
            "Size": ("SIZE", lambda v: _used(v, "Size")),
            **{name: (name.upper(), lambda _: _UNKNOWN) for name in unused},
        },
        columns or ("Driver", "Name"),
        methods={"Label": lambda v, name: (v.get("Labels") or {}).get(name, "")},
    )


def _labels(volume: Item) -> str:
    return ",".join(f"{k}={v}" for k, v in sorted((volume.get("Labels") or {}).items()))


def _used(volume: Item, what: str) -> str:
    usage = volume.get("UsageData")
    if not usage or usage[what] < 0:
        return _UNKNOWN
    return size(usage[what]) if what == "Size" else str(usage[what])


_CLUSTER = (
    "availability group limit-bytes required-bytes scope secret sharing topology-preferred"
    " topology-required type"
)

COMMANDS = {
    "volume create": Command(
        create,
        "[OPTIONS] [VOLUME]",
        example="lading volume create --label keep=yes site",
        flags=(
            Flag("driver", TEXT, "Specify volume driver name", short="d", default="local"),
            Flag("label", LIST, "Set metadata for a volume"),
            Flag("name", TEXT, "Specify volume name", hidden=True, refused=True),
            Flag("opt", LIST, "Set driver specific options", short="o"),
            *(Flag(name, TEXT, "Of cluster volumes", refused=True) for name in _CLUSTER.split()),
        ),
        operands=(0, 1),
    ),
    "volume ls": Command(
        list_,
        "[OPTIONS]",
        example="lading volume ls --filter dangling=true",
        flags=(
            Flag("cluster", SWITCH, "Display only cluster volumes", refused=True),
            Flag("filter", LIST, "Filter output based on conditions provided", short="f"),
            Flag("format", TEXT, FORMAT_HELP),
            Flag("quiet", SWITCH, "Only display volume names", short="q"),
        ),
    ),
    "volume rm": Command(
        remove,
        "[OPTIONS] VOLUME [VOLUME...]",
        example="lading volume rm site",
        flags=(
            Flag("force", SWITCH, "Force the removal of one or more volumes", short="f"),
        ),
        operands=(1, ANY),
        complete="volumes",
    ),
}  # fmt: skip
