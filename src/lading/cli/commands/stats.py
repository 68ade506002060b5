"""``lading stats``: what containers use, once or until the user has seen enough."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from threading import Thread

from lading.cli.client import Client
from lading.cli.command import ANY, Command
from lading.cli.commands.ps import FORMAT_HELP
from lading.cli.consumption import shape
from lading.cli.faults import Fault, Unreachable
from lading.cli.flags import SWITCH, TEXT, Arguments, Flag
from lading.cli.references import reference
from lading.cli.rows import render
from lading.cli.terminal import STDOUT, is_terminal
from lading.cli.units import short_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_EVERY = 1.0  # seconds, as the engine sends them
_PATIENCE = 3.0  # for the first figures
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


def run(arguments: Arguments, client: Client) -> int:
    """Show the containers named, or all that run."""
    names = list(dict.fromkeys(arguments.operands))
    watched = [Watched(client, name) for name in names or _listed(arguments, client)]
    live = not arguments.on("no-stream")
    for one in watched:
        one.begin(live=live)
    _await_first(watched, live=live)
    faults = [one.fault for one in watched if one.fault is not None]
    if names and faults:
        raise Fault("\n".join(map(str, faults)))
    if not live:
        print(_text(arguments, watched), end="")
        return 0
    if names:
        return _show_these(arguments, watched)
    return _show_all(arguments, client, watched)


def _show_these(arguments: Arguments, watched: list[Watched]) -> int:
    """Until the last of them is gone."""
    while any(one.runs for one in watched):
        _draw(_text(arguments, [one for one in watched if one.runs]))
        time.sleep(_EVERY)
    return 0


def _show_all(arguments: Arguments, client: Client, watched: list[Watched]) -> int:
    """Whatever there is at the moment, for ever."""
    known = {one.name: one for one in watched}
    while True:
        _draw(_text(arguments, known.values()))
        time.sleep(_EVERY)
        present = _listed(arguments, client)
        known = {name: known.get(name) or Watched(client, name) for name in present}
        for one in known.values():
            one.begin(live=True)


class Watched:
    """One container, and the latest that was heard of it."""

    def __init__(self, client: Client, name: str) -> None:
        self.name = name
        self.latest: dict[str, Any] | None = None
        self.fault: Fault | None = None
        self._client = client
        self._thread: Thread | None = None

    @property
    def runs(self) -> bool:
        """Whether more may come."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self, *, live: bool) -> None:
        """Listen in a thread, once or until the stream ends; again does nothing."""
        if self._thread is None:
            self._thread = Thread(target=self._listen, args=(live,), daemon=True)
            self._thread.start()

    def _listen(self, live: bool) -> None:
        try:
            path = f"/containers/{reference(self.name)}/stats"
            for stats in self._client.stream(path, stream="1" if live else "0"):
                self.latest = stats
        except Fault as fault:
            self.fault = fault


def _listed(arguments: Arguments, client: Client) -> list[str]:
    items = client.get("/containers/json", all=arguments.on("all"))
    return [short_id(item["Id"]) for item in items]


def _await_first(watched: Sequence[Watched], *, live: bool) -> None:
    """Until each has told something; Fault where no daemon answers."""
    deadline = time.monotonic() + _PATIENCE
    while any(one.runs and one.latest is None for one in watched):
        if live and time.monotonic() > deadline:
            break
        time.sleep(0.02)
    for one in watched:
        if isinstance(one.fault, Unreachable):
            raise one.fault


def _text(arguments: Arguments, watched: Iterable[Watched]) -> str:
    items = [{"Container": one.name, "Stats": one.latest} for one in watched]
    return render(shape(trunc=not arguments.on("no-trunc")), items, arguments.text("format"))


def _draw(text: str) -> None:
    """On a terminal over what stood there before."""
    if is_terminal(STDOUT):
        text = _HOME + text.replace("\n", f"{_REST_OF_LINE}\n") + _REST_OF_SCREEN
    sys.stdout.write(text)
    sys.stdout.flush()


COMMANDS = {
    "stats": Command(
        run,
        "[OPTIONS] [CONTAINER...]",
        example="lading stats\nlading stats --no-stream web",
        flags=(
            Flag("all", SWITCH, "Show all containers (default shows just running)", short="a"),
            Flag("format", TEXT, FORMAT_HELP),
            Flag("no-stream", SWITCH, "Disable streaming stats and only pull the first result"),
            Flag("no-trunc", SWITCH, "Do not truncate output"),
        ),
        operands=(0, ANY),
        complete="running",
    )
}
