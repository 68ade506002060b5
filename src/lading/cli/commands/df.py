"""``lading system df``: how much of the disk images, containers and volumes take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lading.cli.client import Client
from lading.cli.command import Command
from lading.cli.commands import images, ps, volume
from lading.cli.flags import SWITCH, TEXT, Arguments, Flag
from lading.cli.rows import Row, Shape, formatted, render
from lading.cli.units import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Item = Mapping[str, Any]

_ACTIVE = ("running", "paused", "restarting")


def run(arguments: Arguments, client: Client) -> int:
    """Ask, and show a line for each kind, or (verbose) one for each thing."""
    usage = client.get("/system/df")
    form = arguments.text("format")
    if not arguments.on("verbose"):
        print(render(_SHAPE, _summaries(usage), form), end="")
    elif form in ("", "table"):
        print(_verbose(usage))
    else:
        print(formatted(_everything(usage), form))
    return 0


# -- a line for each kind --------------------------------------------------------------------


def _summary(kind: str, sizes: Iterable[tuple[int, bool]]) -> Item:
    """*sizes* tells of each thing how large it is, and whether it is in use."""
    known = list(sizes)
    total = sum(count for count, _ in known)
    unused = sum(count for count, active in known if not active)
    active = sum(active for _, active in known)
    return {"Type": kind, "Total": len(known), "Active": active, "Size": total, "Free": unused}


def _summaries(usage: Item) -> list[Item]:
    return [
        _of_images(usage.get("Images") or (), usage.get("LayersSize") or 0),
        _summary(
            "Containers",
            ((c.get("SizeRw") or 0, _runs(c)) for c in usage.get("Containers") or ()),
        ),
        _summary(
            "Local Volumes",
            (_volume_use(found) for found in usage.get("Volumes") or ()),
        ),
        _summary(
            "Build Cache",
            ((c["Size"], bool(c["InUse"])) for c in usage.get("BuildCache") or ()),
        ),
    ]


def _of_images(found: Iterable[Item], layers: int) -> Item:
    """What images share is counted once, and stays as long as one of them is used."""
    known = list(found)
    used = [image for image in known if image.get("Containers")]
    own = sum(i["Size"] - i["SharedSize"] for i in used if -1 not in (i["Size"], i["SharedSize"]))
    counts = {"Total": len(known), "Active": len(used)}
    return {"Type": "Images", **counts, "Size": layers, "Free": layers - own}


def _runs(container: Item) -> bool:
    return container.get("State") in _ACTIVE


def _volume_use(found: Item) -> tuple[int, bool]:
    usage = found.get("UsageData") or {}
    return max(0, usage.get("Size", 0)), usage.get("RefCount", 0) > 0


def _reclaimable(row: Item) -> str:
    shown = size(row["Free"])
    return f"{shown} ({row['Free'] * 100 // row['Size']}%)" if row["Size"] > 0 else shown


_SHAPE = Shape(
    "*formatter.diskUsageContext",
    {
        "Type": ("TYPE", lambda row: row["Type"]),
        "TotalCount": ("TOTAL", lambda row: str(row["Total"])),
        "Active": ("ACTIVE", lambda row: str(row["Active"])),
        "Size": ("SIZE", lambda row: size(row["Size"])),
        "Reclaimable": ("RECLAIMABLE", _reclaimable),
    },
    ("Type", "TotalCount", "Active", "Size", "Reclaimable"),
)

# -- a line for each thing -------------------------------------------------------------------

_CACHE = Shape(
    "*formatter.buildCacheContext",
    {
        "ID": ("CACHE ID", lambda c: c["ID"]),
        "CacheType": ("CACHE TYPE", lambda c: c["Type"]),
        "Size": ("SIZE", lambda c: size(c["Size"])),
        "CreatedSince": ("CREATED", lambda c: c.get("CreatedAt", "")),
        "LastUsedSince": ("LAST USED", lambda c: c.get("LastUsedAt", "")),
        "UsageCount": ("USAGE", lambda c: str(c.get("UsageCount", 0))),
        "Shared": ("SHARED", lambda c: str(c.get("Shared", False)).lower()),
    },
    ("ID", "CacheType", "Size", "CreatedSince", "LastUsedSince", "UsageCount", "Shared"),
)


def _parts(usage: Item, *, trunc: bool) -> dict[str, tuple[str, Shape, list[Item]]]:
    """Of each kind its title, its shape and its things."""
    return {
        "Images": ("Images space usage", _images_shape(trunc=trunc), _named_images(usage)),
        "Containers": (
            "Containers space usage",
            _containers_shape(trunc=trunc),
            list(usage.get("Containers") or ()),
        ),
        "Volumes": (
            "Local Volumes space usage",
            volume.shape("Name", "Links", "Size"),
            list(usage.get("Volumes") or ()),
        ),
        "BuildCache": (
            "Build cache usage: " + size(sum(c["Size"] for c in usage.get("BuildCache") or ())),
            _CACHE,
            list(usage.get("BuildCache") or ()),
        ),
    }


def _named_images(usage: Item) -> list[Item]:
    """Each image once, under its first name."""
    found = usage.get("Images") or ()
    return [next(images.named([{**i, "RepoDigests": [], "RepoTags": _first(i)}])) for i in found]


def _first(image: Item) -> list[str]:
    return list(image.get("RepoTags") or ())[:1]


def _images_shape(*, trunc: bool) -> Shape:
    whole = images.shape(trunc=trunc)
    columns = ("Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize")
    return Shape(whole.type_name, whole.fields, (*columns, "Containers"))


def _containers_shape(*, trunc: bool) -> Shape:
    whole = ps.shape(trunc=trunc)
    columns = ("ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names")
    return Shape(whole.type_name, {**whole.fields, "Size": ("SIZE", _written)}, columns)


def _written(container: Item) -> str:
    return size(container.get("SizeRw") or 0, 3)


def _verbose(usage: Item) -> str:
    shown = []
    for title, shape, things in _parts(usage, trunc=True).values():
        colon = "" if ":" in title else ":"
        shown.append(f"{title}{colon}\n\n{render(shape, things)}")
    return "\n".join(shown).rstrip("\n")


def _everything(usage: Item) -> dict[str, object]:
    return {
        name: [Row(shape, thing).fields() for thing in things]
        for name, (_, shape, things) in _parts(usage, trunc=False).items()
    }


COMMANDS = {
    "system df": Command(
        run,
        "[OPTIONS]",
        example="lading system df -v",
        flags=(
            Flag("format", TEXT, ps.FORMAT_HELP),
            Flag("verbose", SWITCH, "Show detailed information on space usage", short="v"),
        ),
    )
}
