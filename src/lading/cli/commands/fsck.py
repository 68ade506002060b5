"""``lading fsck`` and ``lading gc``: look over what an engine keeps, and free what is of no use."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from lading.cli.bars import Bars
from lading.cli.client import Client, documents
from lading.cli.command import Command
from lading.cli.faults import Misuse
from lading.cli.flags import SWITCH, TEXT, Arguments, Flag
from lading.cli.http import Lost
from lading.cli.terminal import STDERR, is_terminal
from lading.cli.units import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Item = Mapping[str, Any]


def run_fsck(arguments: Arguments, client: Client) -> int:
    """Check, tell what was found, and fail where damage is left."""
    as_json = _as_json(arguments)
    query = {"repair": arguments.on("repair"), "readData": arguments.on("read-data")}
    report: Item | None = None
    with Bars(wanted=is_terminal(STDERR) and not as_json, stderr=True) as bars:
        for line in documents(client.ask("POST", "/lading/v1/fsck", query)):
            bars.show(line)
            report = line.get("aux") or report
    if report is None:
        raise Lost("the daemon went away before it was done")
    print(json.dumps(report, indent=4) if as_json else "\n".join(_told(report)))
    return 1 if report["Damaged"] else 0


def run_gc(arguments: Arguments, client: Client) -> int:
    """Free what is of no use, or say what that would be."""
    dry_run, as_json = arguments.on("dry-run"), _as_json(arguments)
    found = client.post("/lading/v1/gc", dryRun=dry_run)
    print(json.dumps(found, indent=4) if as_json else "\n".join(_freed(found, dry_run=dry_run)))
    return 0 if found["Complete"] else 1


def _as_json(arguments: Arguments) -> bool:
    form = arguments.text("format")
    if form not in ("", "text", "json"):
        raise Misuse(f"invalid format {form!r}: text or json", 1)
    return form == "json"


def _told(report: Item) -> Iterator[str]:
    for finding in report["Findings"]:
        yield f"{finding['Gravity']}: {finding['Kind']} {finding['Subject']}: {finding['Problem']}"
        done = finding["Repaired"]
        yield f"    mended: {done}" if done else f"    {finding['Remedy']}"
    for use in report["Usage"]:
        unowned = use["Taken"] - use["Owned"]
        rest = f", {size(unowned)} of it of no use" if unowned else ""
        yield f"{use['Kind']}: {size(use['Taken'])}{rest}"
    counts = ", ".join(_count(kind.lower(), n) for kind, n in report["Checked"].items())
    how = "every byte read" if report["ReadData"] else "sizes, documents and indexes read"
    left = report["Damaged"]
    yield f"checked {counts} ({how}): " + (f"{left} damaged" if left else "no damage left")


def _count(kinds: str, number: int) -> str:
    return f"{number} {kinds if number != 1 else kinds.removesuffix('s')}"


def _freed(found: Item, *, dry_run: bool) -> Iterator[str]:
    for piece in found["Freed"]:
        yield f"{piece['Kind']} {piece['Name']} ({size(piece['Size'])})"
    if not found["Complete"]:
        yield "an image is damaged, and nothing that it may need is freed: see lading fsck"
    word = "Reclaimable" if dry_run else "Total reclaimed"
    yield f"{word} space: {size(found['SpaceReclaimed'])}"


_FORMAT = Flag("format", TEXT, "Format the output: text or json (default text)")

COMMANDS = {
    "fsck": Command(
        run_fsck,
        "[OPTIONS]",
        example="lading fsck --read-data\nlading fsck --repair --format json",
        detail=(
            "Sizes of all blobs and layers, the bytes of manifests, configs and indexes, rows,\n"
            "containers, volumes, mounts and what lies about without an owner are looked at; with\n"
            "--read-data every byte that is kept. With --repair bad blobs are put aside, layers\n"
            "made anew from what is left of them, rows of what is missing put aside, and what is\n"
            "of no use is freed. The exit code is 1 where damage is left."
        ),
        flags=(
            _FORMAT,
            Flag("read-data", SWITCH, "Read every byte of blobs and layers"),
            Flag("repair", SWITCH, "Mend what can be mended"),
        ),
    ),
    "gc": Command(
        run_gc,
        "[OPTIONS]",
        example="lading gc --dry-run",
        detail=(
            "Images, containers and volumes stay: see lading system prune for those. What is\n"
            "freed here is what a crash or damage left behind."
        ),
        flags=(Flag("dry-run", SWITCH, "Only say what would be freed"), _FORMAT),
    ),
}
