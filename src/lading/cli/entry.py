"""The command line's way in: global flags, the command, and how it ends.

Whatever goes wrong becomes one line on stderr and an exit code; a traceback is shown
only where LADING_DEBUG or ``--debug`` asks for it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from lading.cli import catalog
from lading.cli.client import Client
from lading.cli.faults import INTERRUPTED, Fault, Misuse
from lading.cli.flags import Help
from lading.errors import LadingError

TYPE_CHECKING = False  # `typing` costs 4 ms of each command's start
if TYPE_CHECKING:
    from lading.settings import Settings

    Serve = Callable[[Settings], int]

DEFAULT_HOST = "unix:///run/lading/lading.sock"  # as in lading.settings, which is slow to import
_BROKEN_PIPE = 141  # what a shell reports for a program that SIGPIPE ended
_REFUSED = ("--config", "--context", "-c", "-l", "--log-level", "--tls", "--tlscacert", "--tlscert",
            "--tlskey", "--tlsverify")  # fmt: skip


def main(argv: Sequence[str] | None = None, *, serve: Serve) -> int:
    """Run one command; *serve* runs the daemon.  The exit code is the answer."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = os.environ.get("LADING_DEBUG", "") not in ("", "0")
    _speak_utf8()
    try:
        options = _Options(words)
        debug = debug or options.debug
        code = _run(options, serve)
        _flush()
    except BrokenPipeError:
        code = _broken_pipe()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        code = _failed(error, debug=debug)
    return code


class _Options:
    """What stood before the command, and the rest."""

    def __init__(self, words: list[str]) -> None:
        self.host = os.environ.get("LADING_HOST", "")
        self.debug = False
        self.version = False
        self.help = False
        self.words = words
        while self.words and self.words[0].startswith("-"):
            self._take(self.words.pop(0))

    def _take(self, word: str) -> None:
        name, equals, value = word.partition("=")
        if name in ("-H", "--host"):
            self.host = value if equals else self._next(name)
        elif word.startswith("-H") and len(word) > 2:
            self.host = word[2:]
        elif word in ("--debug", "-D"):
            self.debug = True
        elif word in ("--version", "-v"):
            self.version = True
        elif word in ("--help", "-h"):
            self.help = True
        elif name in _REFUSED:
            raise Misuse(f"{name} is not supported yet")
        else:
            raise Misuse(f"unknown flag: {word}")

    def _next(self, name: str) -> str:
        if not self.words:
            raise Misuse(f"flag needs an argument: {name}")
        return self.words.pop(0)


def _run(options: _Options, serve: Serve) -> int:
    words = options.words
    if options.version:
        return _print_version()
    if words and words[0] == "help":
        words, options.help = words[1:], True
    if options.help or not words:
        return _print_help(words)
    if words[0] in catalog.GROUPS and (len(words) == 1 or words[1] in ("--help", "-h")):
        return _print_help(words[:1])
    found, rest = catalog.find(words)
    try:
        return _call(found, rest, options, serve)
    except Help:
        return _print_help(found.name.split())
    except Misuse as misuse:
        raise _advised(misuse, found) from None


def _call(found: catalog.Found, words: list[str], options: _Options, serve: Serve) -> int:
    arguments = found.command.parse(words)
    if found.command.run is None:
        from lading.cli.commands.daemon import settings

        return serve(settings(arguments, options.host, debug=options.debug))
    return found.command.run(arguments, _client(options.host))


def _client(host: str) -> Client:
    """Only on the default socket may the daemon be started."""
    if host:
        return Client(host)
    return Client(DEFAULT_HOST, _start)


def _start() -> None:
    from lading.cli.autostart import start

    start(DEFAULT_HOST)


def _print_version() -> int:
    from lading import __version__

    print(f"lading version {__version__}")
    return 0


def _print_help(words: list[str]) -> int:
    from lading.cli import usage

    if not words:
        print(usage.of_everything(), end="")
    elif len(words) == 1 and words[0] in catalog.GROUPS:
        print(usage.of_group(words[0]), end="")
    else:
        print(usage.of_command(catalog.find(words)[0]), end="")
    _flush()
    return 0


# -- how it ends -----------------------------------------------------------------------------


def _advised(misuse: Misuse, found: catalog.Found) -> Fault:
    """The mistake, with the usage and the way to the help."""
    from lading.cli.usage import summary_of_use

    advice = f"{summary_of_use(found)}\n\nRun 'lading {found.name} --help' for more information"
    return Fault(f" {found.name}: {misuse}\n\n{advice}", misuse.code)


def _failed(error: Exception, *, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exc()
    message, code = _told(error)
    if message:
        _complain(f"lading{message}" if message.startswith(" ") else f"lading: {message}")
    return code


def _told(error: Exception) -> tuple[str, int]:
    """What to say of *error*, and the exit code."""
    if isinstance(error, Misuse):
        return f"{error}\n\nRun 'lading --help' for more information", error.code
    if isinstance(error, Fault):
        return str(error), error.code
    if isinstance(error, LadingError):
        return str(error), 1
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}", 1
    kind = type(error).__name__
    return f"internal error: {kind}: {error} (LADING_DEBUG=1 shows where)", 1


def _complain(message: str) -> None:
    try:
        _flush()
        print(message, file=sys.stderr, flush=True)
    except OSError:
        pass  # nobody listens, and the exit code tells


def _broken_pipe() -> int:
    """Whoever read our output is gone: end as quietly as a program ended by SIGPIPE."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    return _BROKEN_PIPE


def _speak_utf8() -> None:
    """Names are bytes to the engine: print them as they are, in whatever locale."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="surrogateescape")


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()
