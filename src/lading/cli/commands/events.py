"""``lading events``: what happens in the engine, as it happens."""

from __future__ import annotations

import time

from lading.cli.client import Client
from lading.cli.command import Command
from lading.cli.commands.ps import filters
from lading.cli.faults import Fault
from lading.cli.flags import LIST, TEXT, Arguments, Flag
from lading.cli.moments import moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Event = dict[str, Any]

_SECOND = 10**9
_BAD_TEMPLATE = 64


def run(arguments: Arguments, client: Client) -> int:
    """Print a line for each event until ``--until``, or until the user has enough."""
    show = _shower(arguments.text("format"))
    happening = client.stream(
        "/events",
        since=moment(arguments.text("since"), "since"),
        until=moment(arguments.text("until"), "until"),
        filters=filters(arguments.many("filter")),
    )
    for event in happening:
        print(show(event), flush=True)
    return 0


def _shower(form: str) -> Callable[[Event], str]:
    """How an event becomes a line; Fault where the template is wrong, before anything is asked."""
    if not form:
        return pretty
    from lading.cli.documents import EVENT
    from lading.cli.gotemplate import TemplateError, parse

    def formatted(event: Event) -> str:
        try:
            return template.execute(EVENT(event))
        except TemplateError as error:
            raise _wrong(error) from None

    try:
        template = parse("{{json .}}" if form == "json" else form)
    except TemplateError as error:
        raise _wrong(error) from None
    return formatted


def _wrong(error: Exception) -> Fault:
    return Fault(f"Error parsing format: {error}", _BAD_TEMPLATE)


def pretty(event: Event) -> str:
    """``2026-01-31T10:00:00.000000000Z container start 4f… (image=busybox, name=web)``."""
    actor = event["Actor"]
    text = f"{_moment(event['timeNano'])} {event['Type']} {event['Action']} {actor['ID']}"
    attributes = actor.get("Attributes") or {}
    if attributes:
        text += " (" + ", ".join(f"{name}={attributes[name]}" for name in sorted(attributes)) + ")"
    return text


def _moment(nanoseconds: int) -> str:
    """RFC 3339 in local time, with all nine digits."""
    seconds, rest = divmod(nanoseconds, _SECOND)
    local = time.localtime(seconds)
    zone = "Z"
    if local.tm_gmtoff:
        hours, minutes = divmod(abs(local.tm_gmtoff) // 60, 60)
        zone = f"{'-' if local.tm_gmtoff < 0 else '+'}{hours:02d}:{minutes:02d}"
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', local)}.{rest:09d}{zone}"


COMMANDS = {
    "events": Command(
        run,
        "[OPTIONS]",
        example="lading events --since 1h --filter type=container --filter event=die",
        flags=(
            Flag("filter", LIST, "Filter output based on conditions provided", short="f"),
            Flag("format", TEXT, "Format output: 'json' or a Go template"),
            Flag("since", TEXT, "Show all events created since timestamp"),
            Flag("until", TEXT, "Stream events until this timestamp"),
        ),
    )
}
