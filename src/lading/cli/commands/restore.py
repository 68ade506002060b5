"""``lading restore``: make containers again from their backups."""

from __future__ import annotations

from lading.cli.client import Client
from lading.cli.command import Command
from lading.cli.commands.backup import followed
from lading.cli.faults import Misuse
from lading.cli.flags import LIST, SWITCH, TEXT, Arguments, Flag
from lading.cli.targets import SECRET_FLAGS, logins, pairs, ref, secret, target

_DETAIL = """
What reaches beyond a container comes back only when it is allowed by name: bind, cap-add,
device, host-namespace, privileged, security-opt, sysctl, or all.  What cannot be had is listed
before anything is changed; a restore that is cut off leaves nothing.
"""
_ALLOWED = ("bind", "cap-add", "device", "host-namespace", "privileged", "security-opt", "sysctl",
            "all")  # fmt: skip


def run(arguments: Arguments, client: Client) -> int:
    """Print the restored containers' names."""
    operand = arguments.operands[0]
    if arguments.on("all") and arguments.text("name"):
        raise Misuse("--name is for one backup alone", 1)
    meant = {"Target": target(operand)} if arguments.on("all") else {"Ref": ref(operand)}
    allowed = [word for text in arguments.many("allow") for word in text.split(",")]
    body = {
        **meant,
        "Name": arguments.text("name"),
        "Start": arguments.on("start"),
        "Force": arguments.on("force"),
        "Allow": allowed,
        "Ports": pairs(arguments.many("map-port"), "--map-port"),
        "Volumes": pairs(arguments.many("map-volume"), "--map-volume"),
        "Networks": pairs(arguments.many("map-network"), "--map-network"),
        **secret(arguments),
        **logins(operand),
    }
    for each in followed(client, "/lading/v1/restore", body, quiet=arguments.on("quiet")):
        print(each["name"])
    return 0


COMMANDS = {
    "restore": Command(
        run,
        "[OPTIONS] TARGET:REF | --all TARGET",
        example=(
            "lading restore --start /backups:web-20260131T100000.000Z\n"
            "lading restore --all --start /backups"
        ),
        detail=_DETAIL,
        flags=(
            Flag("all", SWITCH, "Restore the latest backup of every container", short="a"),
            Flag("allow", LIST, "Allow what reaches beyond the container", values=_ALLOWED),
            Flag("force", SWITCH, "Take the image's names from other images", short="f"),
            Flag("map-network", LIST, "Use another network: OLD:NEW"),
            Flag("map-port", LIST, "Publish on another port of the host: OLD:NEW"),
            Flag("map-volume", LIST, "Restore a volume under another name: OLD:NEW"),
            Flag("name", TEXT, "Name the container differently"),
            Flag("quiet", SWITCH, "Show no progress", short="q"),
            Flag("start", SWITCH, "Start what was restored"),
            *SECRET_FLAGS,
        ),
        operands=(1, 1),
    )
}  # fmt: skip
