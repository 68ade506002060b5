"""``lading create``: make a container, and leave it to be started."""

from __future__ import annotations

from lading.cli.client import Client
from lading.cli.command import ANY, Command
from lading.cli.creation import create, prepared
from lading.cli.flags import Arguments
from lading.cli.options.table import FLAGS


def run(arguments: Arguments, client: Client) -> int:
    """Create the container, and print its ID."""
    print(create(client, arguments, prepared(arguments)))
    return 0


COMMANDS = {
    "create": Command(
        run,
        "[OPTIONS] IMAGE [COMMAND] [ARG...]",
        example="lading create --name web -p 8080:80 busybox httpd -f",
        flags=FLAGS,
        operands=(1, ANY),
        interspersed=False,
        complete="images",
    )
}
