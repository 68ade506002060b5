"""What ``pull``, ``push`` and ``run`` share: logins from Docker's file, and progress in lines."""

from __future__ import annotations

import os
import sys

from lading.cli.bars import Bars
from lading.cli.client import Client, Query, documents
from lading.cli.faults import Fault

TYPE_CHECKING = False  # `typing` costs 4 ms of each command's start
if TYPE_CHECKING:
    from typing import Any

    from lading.oci.reference import Reference
    from lading.registry.credentials import Credentials, Keyring


def keyring() -> Keyring:
    """The user's logins."""
    from lading.registry.credentials import Keyring, default_path

    return Keyring(default_path(os.environ))


def login(registry: str) -> Credentials:
    """The user's login for exactly that host and port."""
    return keyring().get(registry)


def headers(registry: str) -> dict[str, str]:
    """The login for *registry* as the engine wants to be told it."""
    from lading.registry.credentials import to_header

    found = login(registry)
    return {"X-Registry-Auth": to_header(found, registry)} if found else {}


def pull(client: Client, named: Reference, query: Query, *, bars: Bars, quiet: bool) -> None:
    """Have the engine pull *named*; Fault, Refused."""
    asked = {"fromImage": named.familiar_name, **query}
    response = client.ask("POST", "/images/create", asked, headers=headers(named.domain))
    for line in documents(response):
        follow(line, bars, quiet=quiet)


def follow(line: dict[str, Any], bars: Bars, *, quiet: bool) -> None:
    """Show one line of the engine's; Fault where it tells of a failure."""
    if "error" in line:
        detail = line.get("errorDetail") or {}
        raise Fault(str(detail.get("message") or line["error"]))
    status = str(line.get("status") or "")
    if quiet or not status:
        return
    identity = line.get("id")
    if not identity:
        bars.say(status)
    elif status.startswith("Pulling from"):
        bars.say(f"{identity}: {status}")
    elif bars.drawn:
        bars.show(line)
    elif not line.get("progressDetail"):
        bars.say(f"{identity}: {status}")


def complete(name: str) -> Reference:
    """*name* as a reference; Fault in Docker's words."""
    from lading.errors import Invalid
    from lading.oci.reference import Reference

    try:
        return Reference.parse(name)
    except Invalid as error:
        raise Fault(str(error)) from None


def has_tag(name: str) -> bool:
    """Whether a tag or a digest stands in *name*."""
    return "@" in name or ":" in name.rpartition("/")[2]


def remark(text: str) -> None:
    """A line beside the command's output."""
    print(text, file=sys.stderr, flush=True)
