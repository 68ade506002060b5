"""``prune`` of containers, images, networks, volumes and everything: remove what nobody uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from lading.cli.client import Client
from lading.cli.command import Command
from lading.cli.commands.ps import filters
from lading.cli.faults import Fault
from lading.cli.flags import LIST, SWITCH, Arguments, Flag, Kind
from lading.cli.prompt import confirmed
from lading.cli.units import read_size, size

Filters = Mapping[str, list[str]]
Pruned = tuple[str, int]  # what is told, and the bytes that became free


def run_containers(arguments: Arguments, client: Client) -> int:
    """Remove stopped containers."""
    warning = "WARNING! This will remove all stopped containers."
    return _prune(arguments, warning, lambda wanted: _containers(client, wanted))


def run_images(arguments: Arguments, client: Client) -> int:
    """Remove images without a name, or (with -a) those without a container."""
    everything = arguments.on("all")
    which = "images without at least one container associated to them"
    warning = f"WARNING! This will remove all {which if everything else 'dangling images'}."
    return _prune(arguments, warning, lambda wanted: _images(client, wanted, everything=everything))


def run_volumes(arguments: Arguments, client: Client) -> int:
    """Remove anonymous volumes that no container uses, or (with -a) named ones too."""
    everything = arguments.on("all")
    which = "all" if everything else "anonymous"
    warning = f"WARNING! This will remove {which} local volumes not used by at least one container."
    return _prune(
        arguments, warning, lambda wanted: _volumes(client, wanted, everything=everything)
    )


def run_networks(arguments: Arguments, client: Client) -> int:
    """Remove the networks that no container is on."""
    wanted = filters(arguments.many("filter"))
    warning = "WARNING! This will remove all custom networks not used by at least one container."
    if arguments.on("force") or confirmed(warning):
        print(_networks(client, wanted)[0], end="")
    return 0


def run_cache(arguments: Arguments, client: Client) -> int:
    """Remove build cache that no image shares, or (with -a) all of it."""
    everything = arguments.on("all")
    which = "all build cache" if everything else "all build cache that no image needs"
    warning = f"WARNING! This will remove {which}."
    keep = arguments.number("keep-storage")
    return _prune(
        arguments,
        warning,
        lambda wanted: _cache(client, wanted, everything=everything, keep=keep),
    )


def run_everything(arguments: Arguments, client: Client) -> int:
    """Remove stopped containers, unused networks and images, and volumes if asked for."""
    volumes, everything = arguments.on("volumes"), arguments.on("all")
    if volumes and "until" in filters(arguments.many("filter")):
        raise Fault('the "until" filter is not supported with "--volumes"')

    def prune(wanted: Filters) -> Pruned:
        parts = [_containers(client, wanted), _networks(client, wanted)]
        if volumes:
            parts.append(_volumes(client, wanted, everything=False))
        parts.append(_images(client, wanted, everything=everything))
        aged = {name: values for name, values in wanted.items() if name == "until"}
        if aged or not wanted:
            parts.append(_cache(client, aged, everything=everything))
        return "".join(told for told, _ in parts), sum(freed for _, freed in parts)

    warning = "\n".join(_warning(arguments, volumes=volumes, everything=everything))
    return _prune(arguments, warning, prune)


def _prune(arguments: Arguments, warning: str, prune: Callable[[Filters], Pruned]) -> int:
    wanted = filters(arguments.many("filter"))
    if not arguments.on("force") and not confirmed(warning):
        return 0
    told, freed = prune(wanted)
    print(f"{told}Total reclaimed space: {size(freed)}")
    return 0


def _warning(arguments: Arguments, *, volumes: bool, everything: bool) -> Iterator[str]:
    yield "WARNING! This will remove:"
    yield "  - all stopped containers"
    yield "  - all networks not used by at least one container"
    if volumes:
        yield "  - all anonymous volumes not used by at least one container"
    if everything:
        yield "  - all images without at least one container associated to them"
    else:
        yield "  - all dangling images"
    yield "  - unused build cache"
    yield ""
    given = arguments.many("filter")
    if given:
        yield "  Items to be pruned will be filtered with:"
        yield from (f"  - {text}" for text in given)
        yield ""


def _containers(client: Client, wanted: Filters) -> Pruned:
    found = client.post("/containers/prune", filters=dict(wanted))
    return _told("Containers", found["ContainersDeleted"]), found["SpaceReclaimed"]


def _networks(client: Client, wanted: Filters) -> Pruned:
    found = client.post("/networks/prune", filters=dict(wanted))
    return _told("Networks", found["NetworksDeleted"]), 0


def _images(client: Client, wanted: Filters, *, everything: bool) -> Pruned:
    # Only what is asked of dangling ones by hand goes before the flag.
    asked = {"dangling": ["false" if everything else "true"], **wanted}
    found = client.post("/images/prune", filters=asked)
    gone = [
        f"{how.lower()}: {what}"
        for each in found["ImagesDeleted"] or ()
        for how, what in each.items()
    ]
    return _told("Images", gone), found["SpaceReclaimed"]


def _volumes(client: Client, wanted: Filters, *, everything: bool) -> Pruned:
    asked = {**wanted, "all": ["true"]} if everything else dict(wanted)
    found = client.post("/volumes/prune", filters=asked)
    return _told("Volumes", found["VolumesDeleted"]), found["SpaceReclaimed"]


def _cache(client: Client, wanted: Filters, *, everything: bool, keep: int = 0) -> Pruned:
    asked = {"filters": dict(wanted), "all": everything, "keep-storage": keep or None}
    found = client.post("/build/prune", **asked)
    return _told("build cache objects", found["CachesDeleted"]), found["SpaceReclaimed"]


def _told(kind: str, gone: list[str] | None) -> str:
    return f"Deleted {kind}:\n" + "".join(f"{name}\n" for name in gone) + "\n" if gone else ""


_FILTER = Flag("filter", LIST, 'Provide filter values (e.g. "until=24h", "label=<key>=<value>")')
_FORCE = Flag("force", SWITCH, "Do not prompt for confirmation", short="f")
_UNUSED = "Remove all unused images not just dangling ones"

COMMANDS = {
    "builder prune": Command(
        run_cache,
        "[OPTIONS]",
        example="lading builder prune --filter until=48h",
        flags=(
            Flag("all", SWITCH, "Remove what images need as well, not just the rest", short="a"),
            _FILTER,
            _FORCE,
            Flag("keep-storage", Kind("bytes", read_size), "Amount of cache to keep"),
        ),
    ),
    "container prune": Command(
        run_containers,
        "[OPTIONS]",
        example="lading container prune --filter until=24h",
        flags=(_FILTER, _FORCE),
    ),
    "image prune": Command(
        run_images,
        "[OPTIONS]",
        example="lading image prune -a --filter until=240h",
        flags=(Flag("all", SWITCH, _UNUSED, short="a"), _FILTER, _FORCE),
    ),
    "network prune": Command(
        run_networks,
        "[OPTIONS]",
        example="lading network prune --filter until=24h",
        flags=(_FILTER, _FORCE),
    ),
    "volume prune": Command(
        run_volumes,
        "[OPTIONS]",
        example="lading volume prune",
        flags=(
            Flag("all", SWITCH, "Remove all unused volumes, not just anonymous ones", short="a"),
            _FILTER,
            _FORCE,
        ),
    ),
    "system prune": Command(
        run_everything,
        "[OPTIONS]",
        example="lading system prune --volumes",
        flags=(
            Flag("all", SWITCH, _UNUSED, short="a"),
            _FILTER,
            _FORCE,
            Flag("volumes", SWITCH, "Prune anonymous volumes"),
        ),
    ),
}
