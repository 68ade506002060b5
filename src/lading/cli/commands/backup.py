"""``lading backup``: make backups of containers, and look at what a target holds."""

from __future__ import annotations

import sys

from lading.cli.bars import Bars
from lading.cli.client import Client, documents
from lading.cli.command import ANY, Command
from lading.cli.faults import Fault
from lading.cli.flags import LIST, NUMBER, SWITCH, TEXT, Arguments, Flag
from lading.cli.table import aligned
from lading.cli.targets import SECRET_FLAGS, absolute, logins, ref, secret, target
from lading.cli.terminal import STDERR, is_terminal
from lading.cli.units import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_API = "/lading/v1/backups"
_PERIODS = ("last", "hourly", "daily", "weekly", "monthly", "yearly")


def create(arguments: Arguments, client: Client) -> int:
    """Print the new backups' refs; on stderr, what they hold, lack and cost."""
    labels = arguments.many("label")
    if arguments.text("project"):
        labels.append(f"com.docker.compose.project={arguments.text('project')}")
    body = {
        "Target": target(arguments.text("to")),
        "Names": arguments.operands,
        "All": arguments.on("all"),
        "Labels": labels,
        "Consistency": arguments.text("consistency"),
        "Pre": arguments.text("pre"),
        "Post": arguments.text("post"),
        "IncludeBinds": arguments.many("include-bind"),
        "Exclude": arguments.many("exclude"),
        **opening(arguments, arguments.text("to")),
    }
    made = followed(client, f"{_API}/create", body, quiet=_is_silent(arguments))
    if arguments.on("json"):
        _print_json(made)
        return 0
    for backup in made:
        print(backup["ref"], flush=True)
        if not arguments.on("quiet"):
            print(_told(backup), end="", file=sys.stderr)
    return 0


def list_(arguments: Arguments, client: Client) -> int:
    """Every backup, the oldest first; a damaged one says why."""
    body = {"Target": target(arguments.operands[0]), **opening(arguments)}
    found = client.post(f"{_API}/list", body)
    _warn(found["warnings"])
    if arguments.on("json"):
        _print_json(found["backups"])
        return 0
    if arguments.on("quiet"):
        print("".join(f"{each['ref']}\n" for each in found["backups"]), end="")
        return 0
    lines = [["REF", "CONTAINER", "IMAGE", "CREATED", "PAUSED", "SIZE", "ADDED"]]
    print(aligned([*lines, *map(_line, found["backups"])]), end="")
    return 0


def show(arguments: Arguments, client: Client) -> int:
    """What is in a backup, and the command that makes a container like it."""
    found = client.post(f"{_API}/show", {"Ref": ref(arguments.operands[0]), **opening(arguments)})
    if arguments.on("json"):
        _print_json(found)
        return 0
    facts = [
        ["Backup", found["ref"]],
        ["Container", f"{found['container']} ({found['id'][:12]}), from {found['hostname']}"],
        ["Image", f"{found['image']} ({found['image_id']})"],
        ["Created", found["created"]],
        ["Consistency", f"{found['consistency']}, paused for {found['paused_ms']} ms"],
        ["Stored", f"{size(found['stored'])}: {_bytes(found['added'])} new, "
                   f"{_bytes(found['shared'])} shared"],
    ]  # fmt: skip
    print(aligned(facts), end="")
    rows = [[f"  {p['kind']}", p["name"], f"{p['files']} files", size(p["size"])]
            for p in found["parts"]]  # fmt: skip
    print("Parts\n" + aligned(rows), end="")
    for title, key in (("Not included", "not_included"), ("Warnings", "warnings")):
        if found[key]:
            print(title + "\n" + "".join(f"  {each}\n" for each in found[key]), end="")
    print(f"Run\n  {found['run']}")
    return 0


def files(arguments: Arguments, client: Client) -> int:
    """Every file, as the container sees it."""
    found = client.post(f"{_API}/files", {"Ref": ref(arguments.operands[0]), **opening(arguments)})
    if arguments.on("json"):
        _print_json(found)
        return 0
    for each in found:
        arrow = f" -> {each['target']}" if each["target"] else ""
        owner = f"{each['uid']}:{each['gid']}"
        print(f"{each['kind']:<9} {each['mode']} {owner:<11} {each['size']:>12} "
              f"{each['mtime'][:19]:<19} {each['path']}{arrow}")  # fmt: skip
    return 0


def cat(arguments: Arguments, client: Client) -> int:
    """Write one file to standard output."""
    where, path = arguments.operands
    body = {"Ref": ref(where), "Path": path, **opening(arguments)}
    response = client.ask("POST", f"{_API}/cat", None, body)
    sys.stdout.flush()
    for piece in response.pieces():
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
    return 0


def diff(arguments: Arguments, client: Client) -> int:
    """What changed from one backup to another, as ``lading diff`` shows changes."""
    old, new = map(ref, arguments.operands)
    found = client.post(f"{_API}/diff", {"Ref": old, "Other": new, **opening(arguments)})
    if arguments.on("json"):
        _print_json(found)
        return 0
    for each in found:
        part = f"[{each['part']}] " if each["part"] != "layer" else ""
        print(f"{each['kind']} {part}{each['path']}")
    return 0


def verify(arguments: Arguments, client: Client) -> int:
    """Tell what is damaged and what that touches; 1 when anything is."""
    operand = arguments.operands[0]
    meant = {"Ref": ref(operand)} if _is_ref(operand) else {"Target": target(operand)}
    body = {**meant, "ReadData": arguments.on("read-data"), **opening(arguments)}
    (found,) = followed(client, f"{_API}/verify", body, quiet=_is_silent(arguments))
    if arguments.on("json"):
        _print_json(found)
        return int(bool(found["findings"]))
    _warn(found["warnings"])
    for each in found["findings"]:
        touched = f" (touches {', '.join(each['parts'])})" if each["parts"] else ""
        print(f"{each['ref']}: {each['problem']}{touched}")
    what = "read" if arguments.on("read-data") else "there"
    told = f"{found['backups']} backups, {found['blobs']} blobs {what}, {size(found['size'])}"
    print(f"{told}: {len(found['findings']) or 'no'} problems", file=sys.stderr)
    return int(bool(found["findings"]))


def prune(arguments: Arguments, client: Client) -> int:
    """Print the refs that go, or would go."""
    keep = {name: arguments.number(f"keep-{name}") for name in _PERIODS}
    body = {
        "Target": target(arguments.operands[0]),
        "Keep": keep,
        "DryRun": arguments.on("dry-run"),
        **opening(arguments),
    }
    found = client.post(f"{_API}/prune", body)
    if arguments.on("json"):
        _print_json(found)
        return 0
    print("".join(f"{each}\n" for each in found["removed"]), end="")
    _warn(found["warnings"])
    if not arguments.on("dry-run"):
        print(f"freed {size(found['freed'])} in {found['blobs']} blobs", file=sys.stderr)
    return 0


def unpack(arguments: Arguments, client: Client) -> int:
    """Print the files that were written."""
    where, folder = arguments.operands
    body = {"Ref": ref(where), "Path": absolute(folder), **opening(arguments)}
    print("".join(f"{each}\n" for each in client.post(f"{_API}/unpack", body)["files"]), end="")
    return 0


def copy(arguments: Arguments, client: Client) -> int:
    """Print the ref of the copy."""
    where, to = arguments.operands
    body = {"Ref": ref(where), "Target": target(to), **opening(arguments)}
    found = client.post(f"{_API}/copy", body)
    print(found["ref"], flush=True)
    print(f"{_bytes(found['added'])} new", file=sys.stderr)
    return 0


def opening(arguments: Arguments, *targets: str) -> dict[str, Any]:
    """The members of a request's body that open *targets*, and those among the operands."""
    return {**secret(arguments), **logins(*targets, *arguments.operands)}


def followed(client: Client, path: str, body: object, *, quiet: bool) -> list[Any]:
    """Draw a job's progress; what it made."""
    made = []
    with Bars(wanted=is_terminal(STDERR) and not quiet, stderr=True) as bars:
        for line in documents(client.ask("POST", path, None, body)):
            bars.show(line)
            if "aux" in line:
                made.append(line["aux"])
    if not made:
        raise Fault("the engine answered nothing")
    return made


def _is_ref(text: str) -> bool:
    """Whether TARGET:REF is meant, and not the directory of that name."""
    where, colon, tag = text.rpartition(":")
    return bool(colon) and where not in ("", "oci") and "/" not in tag and not _is_directory(text)


def _is_directory(text: str) -> bool:
    from pathlib import Path

    return Path(text).is_dir()


def _is_silent(arguments: Arguments) -> bool:
    return arguments.on("quiet") or arguments.on("json")


def _told(backup: dict[str, Any]) -> str:
    paused = f"paused for {backup['paused_ms']} ms" if backup["paused_ms"] else "not paused"
    text = f"{backup['container']}: {paused}, {size(backup['size'])} in files, "
    text += f"{_bytes(backup['added'])} new at the target\n"
    if backup["not_included"]:
        text += "not included:\n" + "".join(f"  {each}\n" for each in backup["not_included"])
    return text + "".join(f"warning: {each}\n" for each in backup["warnings"])


def _line(backup: dict[str, Any]) -> Sequence[str]:
    if "damaged" in backup:
        return [backup["ref"], f"damaged: {backup['damaged']}"]
    return [
        backup["ref"],
        backup["container"],
        backup["image"],
        backup["created"][:19],
        f"{backup['paused_ms']} ms",
        size(backup["size"], 3),
        _bytes(backup["added"]),
    ]


def _bytes(count: int) -> str:
    return size(count, 3)


def _warn(warnings: Sequence[str]) -> None:
    for each in warnings:
        print(f"warning: {each}", file=sys.stderr)


def _print_json(value: object) -> None:
    import json

    print(json.dumps(value, indent=2))


_JSON = Flag("json", SWITCH, "Print JSON")
_QUIET = Flag("quiet", SWITCH, "Only print refs, and no progress", short="q")
_KEEPS = tuple(
    Flag(f"keep-{name}", NUMBER, f"Keep the {what} for each container")
    for name, what in (
        ("last", "latest so many"),
        *((n, f"latest of each of so many {w}") for n, w in (
            ("hourly", "hours"), ("daily", "days"), ("weekly", "weeks"),
            ("monthly", "months"), ("yearly", "years"))),
    )
)  # fmt: skip

COMMANDS = {
    "backup create": Command(
        create,
        "[OPTIONS] --to TARGET [CONTAINER...]",
        example=(
            "lading backup create web --to /backups\n"
            "lading backup create --project shop --to /backups --passphrase-file key.txt\n"
            "lading backup create web --to registry.example.org/backups/web"
        ),
        detail=(
            "TARGET is a directory (or oci:DIRECTORY), made when it is missing: an OCI layout;\n"
            "REGISTRY/REPOSITORY, with the login of 'lading login'; s3://BUCKET/PREFIX, with the\n"
            "usual AWS_* variables or files; ssh://[USER@]HOST[:PORT]/DIRECTORY, with the keys of\n"
            "the user that the engine runs as, on a host that needs only sshd.\n"
            "Image, writable layer, volumes, networks and every option go along; containers that\n"
            "are named together stand still at the same instant, for what changed meanwhile alone."
        ),
        flags=(
            Flag("all", SWITCH, "Back up all containers", short="a"),
            Flag("consistency", TEXT, "pause, stop or live", default="pause",
                 values=("pause", "stop", "live")),
            Flag("exclude", LIST, "Leave out files that match a pattern"),
            Flag("from", TEXT, "Take the containers of a Docker or Podman engine", refused=True),
            Flag("include-bind", LIST, "Take along a directory of the host that is mounted"),
            _JSON,
            Flag("label", LIST, "Back up containers with a label", short="l"),
            Flag("post", TEXT, "Command to run in each container afterwards"),
            Flag("pre", TEXT, "Command to run in each container before it stands still"),
            Flag("project", TEXT, "Back up the containers of a compose project"),
            _QUIET,
            Flag("to", TEXT, "Target"),
            *SECRET_FLAGS,
        ),
        operands=(0, ANY),
        complete="containers",
    ),
    "backup ls": Command(
        list_,
        "[OPTIONS] TARGET",
        example="lading backup ls /backups",
        flags=(_JSON, Flag("quiet", SWITCH, "Only print refs", short="q"), *SECRET_FLAGS),
        operands=(1, 1),
    ),
    "backup show": Command(
        show,
        "[OPTIONS] TARGET:REF",
        example="lading backup show /backups:web-20260131T100000.000Z",
        flags=(_JSON, *SECRET_FLAGS),
        operands=(1, 1),
    ),
    "backup files": Command(
        files,
        "[OPTIONS] TARGET:REF",
        example="lading backup files /backups:web-20260131T100000.000Z",
        flags=(_JSON, *SECRET_FLAGS),
        operands=(1, 1),
    ),
    "backup cat": Command(
        cat,
        "[OPTIONS] TARGET:REF PATH",
        example="lading backup cat /backups:web-20260131T100000.000Z /data/notes",
        flags=SECRET_FLAGS,
        operands=(2, 2),
    ),
    "backup diff": Command(
        diff,
        "[OPTIONS] TARGET:REF TARGET:REF",
        example=(
            "lading backup diff /backups:web-20260131T100000.000Z"
            " /backups:web-20260201T100000.000Z"
        ),
        flags=(_JSON, *SECRET_FLAGS),
        operands=(2, 2),
    ),
    "backup verify": Command(
        verify,
        "[OPTIONS] TARGET[:REF]",
        example="lading backup verify --read-data /backups",
        flags=(
            Flag("boot", SWITCH, "Restore apart, start, and wait for health", refused=True),
            _JSON,
            _QUIET,
            Flag("read-data", SWITCH, "Read every byte, not only sizes"),
            *SECRET_FLAGS,
        ),
        operands=(1, 1),
    ),
    "backup prune": Command(
        prune,
        "[OPTIONS] TARGET",
        example="lading backup prune --keep-daily 7 --keep-weekly 4 /backups",
        flags=(
            Flag("dry-run", SWITCH, "Only print what would be removed"),
            _JSON,
            *_KEEPS,
            *SECRET_FLAGS,
        ),
        operands=(1, 1),
    ),
    "backup unpack": Command(
        unpack,
        "[OPTIONS] TARGET:REF DIRECTORY",
        example="lading backup unpack /backups:web-20260131T100000.000Z /tmp/web",
        detail="Writes an image archive, tars of the volumes and a script for Docker alone.",
        flags=SECRET_FLAGS,
        operands=(2, 2),
    ),
    "backup copy": Command(
        copy,
        "[OPTIONS] TARGET:REF TARGET",
        example="lading backup copy /backups:web-20260131T100000.000Z /mnt/disk/backups",
        flags=SECRET_FLAGS,
        operands=(2, 2),
    ),
}  # fmt: skip
