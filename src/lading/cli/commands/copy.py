"""``lading image copy``: carry an image between any two places, without an engine in between."""

from __future__ import annotations

from lading.cli.client import Client
from lading.cli.command import Command
from lading.cli.commands.remote import INSECURE, remotes
from lading.cli.faults import Fault
from lading.cli.flags import SWITCH, TEXT, Arguments, Flag

_WHOLE = ("docker://", "oci:")  # places that take an index


def run(arguments: Arguments, client: Client) -> int:
    """Copy, and print the digest of what was copied."""
    from lading.cli.places import Copier, Place, found

    source, target = (Place(text) for text in arguments.operands)
    every = arguments.on("all-platforms")
    platform = found(arguments.text("platform"), every=every)
    if every and target.kind not in _WHOLE:
        raise Fault("only registries and layouts take all platforms of an image")
    copier = Copier(
        lambda domain: remotes(domain, insecure=arguments.on("insecure")),
        lambda host: Client(host) if host else client,
        platform,
    )
    print(copier.copy(source, target).digest)
    return 0


COMMANDS = {
    "image copy": Command(
        run,
        "[OPTIONS] SOURCE TARGET",
        example=(
            "lading image copy docker://one.example/web:1 docker://two.example/web:1\n"
            "lading image copy web-backup oci:/mnt/images:monday"
        ),
        detail=(
            "Places: docker://NAME[:TAG] on a registry, oci:DIRECTORY[:TAG],\n"
            "docker-archive:FILE[:NAME], docker-daemon:NAME, and a NAME alone in lading's library."
        ),
        flags=(
            Flag("all-platforms", SWITCH, "Copy the whole index, not one platform's image"),
            INSECURE,
            Flag("platform", TEXT, "Which image of an index to copy (default: this host's)"),
        ),
        operands=(2, 2),
    )
}
