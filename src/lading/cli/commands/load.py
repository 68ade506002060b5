"""``lading load`` and ``lading import``: take images and file systems from archives."""

from __future__ import annotations

import sys

from lading.cli.archives import from_input, from_path
from lading.cli.bars import Bars
from lading.cli.client import Client, Query, documents
from lading.cli.command import Command
from lading.cli.faults import Fault
from lading.cli.flags import LIST, SWITCH, TEXT, Arguments, Flag
from lading.cli.terminal import STDERR, STDOUT, is_terminal
from lading.cli.upload import Body, posted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ADDRESSES = ("http://", "https://", "ftp://")


def load(arguments: Arguments, client: Client) -> int:
    """Send the archive; what was loaded is told line by line."""
    path = arguments.text("input")
    quiet = arguments.on("quiet") or not is_terminal(STDOUT)
    source = from_path(path, layouts=True) if path else from_input("load")
    with source as body, Bars(wanted=not quiet) as bars:
        _send(client, "/images/load", {"quiet": quiet}, body, bars)
    return 0


def import_(arguments: Arguments, client: Client) -> int:
    """Send the file system; the new image's ID is the answer."""
    source, name = [*arguments.operands, ""][:2]
    if source.startswith(_ADDRESSES):
        raise Fault("importing from an address is not supported: download it first")
    query = {
        "fromSrc": "-",
        "repo": name,
        "message": arguments.text("message"),
        "changes": arguments.many("change"),
        "platform": arguments.text("platform"),
    }
    opened = from_input("import") if source == "-" else from_path(source)
    with opened as body, Bars(wanted=is_terminal(STDERR), stderr=True) as bars:
        last = _send(client, "/images/create", query, body, bars)
    print(last.get("status", ""))
    return 0


def _send(client: Client, path: str, query: Query, body: Body, bars: Bars) -> dict[str, Any]:
    """Send *body*, and show what comes; the last line that came."""
    last: dict[str, Any] = {}
    on_sent = bars.counting("Sending", body.expected)
    with posted(client, path, query, body, on_sent=on_sent) as response:
        for last in documents(response):
            bars.show(last)
    sys.stdout.flush()
    return last


COMMANDS = {
    "load": Command(
        load,
        "[OPTIONS]",
        example="lading load -i backup.tar.gz\nlading load -i layout/\nlading load <backup.tar",
        detail=(
            "Archives of `docker save` and OCI image layouts are read, plain or compressed with\n"
            "gzip, zstd, xz or bzip2; an OCI layout may also be a directory."
        ),
        flags=(
            Flag(
                "input",
                TEXT,
                "Read from tar archive file or directory, instead of STDIN",
                short="i",
                values="files",
            ),
            Flag("platform", TEXT, "Load only the given platform variant", refused=True),
            Flag("quiet", SWITCH, "Suppress the load output", short="q"),
        ),
    ),
    "import": Command(
        import_,
        "[OPTIONS] FILE|- [REPOSITORY[:TAG]]",
        example=(
            "lading import -c 'CMD [\"sh\"]' rootfs.tar web:copy\n"
            "lading export web | lading import - web:copy"
        ),
        flags=(
            Flag("change", LIST, "Apply Dockerfile instruction to the created image", short="c"),
            Flag("message", TEXT, "Set commit message for imported image", short="m"),
            Flag("platform", TEXT, "Set the platform of the image (os/arch[/variant])"),
        ),
        operands=(1, 2),
        complete="files",
    ),
}
