"""``lading registry``: run a registry of one's own, and look after it.

None of these needs the daemon; those that change something may run while the registry serves.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from lading.cli.client import Client
from lading.cli.command import Command
from lading.cli.faults import Misuse
from lading.cli.flags import LIST, NUMBER, SWITCH, TEXT, Arguments, Flag
from lading.cli.options.limits import BYTES, DURATION
from lading.cli.units import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lading.registry.server.holdings import Holdings
    from lading.registry.server.rights import Right

_ROOT = "/var/lib/lading-registry"
_ADDRESS = "127.0.0.1:5000"
_SECOND = 1_000_000_000  # in Go's durations
_DEFAULT_RIGHT = "pull,push,delete:**"


def serve(arguments: Arguments, client: Client) -> int:
    """Serve until a signal ends it."""
    from lading.registry.server.service import serve as run
    from lading.registry.server.settings import Address, RegistrySettings

    cert, key = (arguments.text(name) for name in ("tls-cert", "tls-key"))
    if bool(cert) != bool(key):
        raise Misuse("--tls-cert and --tls-key belong together")
    htpasswd = arguments.text("htpasswd")
    run(
        RegistrySettings(
            root=_root(arguments),
            addresses=[Address.parse(text) for text in arguments.many("addr") or [_ADDRESS]],
            tls_cert=Path(cert) if cert else None,
            tls_key=Path(key) if key else None,
            plain_http=arguments.on("plain-http"),
            htpasswd=Path(htpasswd) if htpasswd else None,
            anonymous_pull=arguments.on("anonymous-pull"),
            login=arguments.on("login"),
            repository_quota=arguments.number("repository-quota") or None,
            grace=_seconds(arguments, "grace") or 0.0,
            debug=arguments.on("debug"),
        )
    )
    return 0


def user(arguments: Arguments, client: Client) -> int:
    """Add, remove or list users."""
    verb, *names = arguments.operands
    wanted = {"add": 1, "rm": 1, "ls": 0}
    if verb not in wanted:
        raise Misuse(f"unknown verb {verb!r}: add, rm and ls are known")
    if len(names) != wanted[verb]:
        raise Misuse("add and rm take one NAME, ls none")
    with _Opened(arguments) as holdings:
        if verb == "add":
            _add(arguments, holdings, names[0])
        elif verb == "rm":
            holdings.users.remove(names[0])
        else:
            _list(holdings)
    return 0


def collect(arguments: Arguments, client: Client) -> int:
    """Free what nothing needs."""
    from lading.registry.server.collector import Collector

    with _Opened(arguments) as holdings:
        parts = (holdings.store, holdings.database, holdings.turnstile)
        collector = Collector(*parts, grace=_seconds(arguments, "grace") or 0.0)
        is_dry = arguments.on("dry-run")
        swept = collector.preview() if is_dry else collector.collect()
    for name in (*swept.manifests, *swept.links, *swept.blobs):
        print(name)
    print(f"{'Would free' if is_dry else 'Freed'} {size(swept.bytes)}")
    return 0


def retain(arguments: Arguments, client: Client) -> int:
    """Remove the tags that a rule lets go."""
    from lading.registry.server.retention import Retention, Rule

    rule = Rule(
        arguments.text("repositories"),
        arguments.text("tags"),
        arguments.number("keep-last") if arguments.given("keep-last") else None,
        _seconds(arguments, "keep-within") if arguments.given("keep-within") else None,
        arguments.on("untagged"),
    )
    if rule.keep_last is None and rule.keep_within is None and not rule.untagged:
        raise Misuse("nothing would go: give --keep-last, --keep-within or --untagged")
    if (rule.keep_last or 0) < 0:
        raise Misuse("invalid --keep-last: it must be at least 0")
    with _Opened(arguments) as holdings:
        retention = Retention(holdings.database, holdings.manifests)
        for name in retention.apply(rule, time.time(), dry_run=arguments.on("dry-run")):
            print(name)
    return 0


def scrub(arguments: Arguments, client: Client) -> int:
    """Hash every blob; the exit code says whether all are sound."""
    from lading.registry.server.scrub import Scrubber

    damaged = 0
    with _Opened(arguments) as holdings:
        scrubber = Scrubber(holdings.store, holdings.database, holdings.turnstile)
        for digest, sound in scrubber.all():
            if not sound:
                damaged += 1
                print(f"{digest} is damaged: push it again to"
                      f" {', '.join(scrubber.repositories(digest))}")  # fmt: skip
    return int(damaged > 0)


class _Opened:
    """The registry at --root, opened for one command."""

    def __init__(self, arguments: Arguments) -> None:
        self._root = _root(arguments)
        self._undo = ExitStack()

    def __enter__(self) -> Holdings:
        from lading.registry.server.holdings import open_root

        return open_root(self._root, self._undo, clock=time.time)

    def __exit__(self, *failure: object) -> None:
        self._undo.close()


def _add(arguments: Arguments, holdings: Holdings, name: str) -> None:
    import secrets

    from lading.registry.server.users import User, hashed

    robot = arguments.on("robot")
    password = secrets.token_urlsafe(32) if robot else _password(arguments)
    lifetime = _seconds(arguments, "expires")
    account = User(
        name,
        hashed(password),
        _rights(arguments),
        robot,
        time.time() + lifetime if lifetime else None,
        arguments.number("quota") or None,
    )
    holdings.users.add(account, replace=arguments.on("replace"))
    if robot:
        print(password)


def _rights(arguments: Arguments) -> tuple[Right, ...]:
    from lading.registry.server.rights import Right

    return tuple(Right.parse(text) for text in arguments.many("right") or [_DEFAULT_RIGHT])


def _password(arguments: Arguments) -> str:
    if arguments.on("password-stdin"):
        return sys.stdin.read().removesuffix("\n").removesuffix("\r")
    if not os.isatty(0):
        raise Misuse("cannot ask for a password without a terminal: use --password-stdin")
    import getpass

    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise Misuse("the passwords differ")
    return password


def _list(holdings: Holdings) -> None:
    from lading.cli.table import aligned

    rows = [
        (
            each.name,
            "robot" if each.robot else "user",
            " ".join(str(right) for right in each.rights),
            size(each.quota) if each.quota else "",
            time.strftime("%Y-%m-%d %H:%M", time.gmtime(each.expires)) if each.expires else "",
        )
        for each in holdings.users.all()
    ]
    print(aligned([("NAME", "KIND", "RIGHTS", "QUOTA", "EXPIRES"), *rows]), end="")


def _root(arguments: Arguments) -> Path:
    text = arguments.text("root")
    path = Path(text).resolve()
    if not text or path == Path("/"):
        raise Misuse(f"invalid --root {text!r}: it must be a directory of its own")
    return path


def _seconds(arguments: Arguments, name: str) -> float | None:
    value = arguments.value(name)
    return value / _SECOND if isinstance(value, int) else None


_ROOT_FLAG = Flag("root", TEXT, "Directory of the registry", values="files", default=_ROOT)
_GRACE_FLAG = Flag("grace", DURATION, "How long a push may rely on what no manifest names yet",
                   default=300 * _SECOND)  # fmt: skip
_DRY_FLAG = Flag("dry-run", SWITCH, "Only say what would go")

COMMANDS = {
    "registry serve": Command(
        serve,
        "[OPTIONS]",
        example="lading registry serve --root /srv/registry --addr 127.0.0.1:5000",
        detail=(
            "On a loopback address, and while it has no users, it needs no login and everybody\n"
            "may delete.  Anywhere else it asks for users, and for TLS."
        ),
        flags=(
            Flag("addr", LIST, f"Address to listen on (HOST:PORT; default {_ADDRESS})"),
            Flag("anonymous-pull", SWITCH, "Let everybody pull"),
            Flag("debug", SWITCH, "Log more", short="D"),
            _GRACE_FLAG,
            Flag("htpasswd", TEXT, "File of further users, who may do everything (bcrypt)",
                 values="files"),
            Flag("login", SWITCH, "Ask for a login on loopback, too"),
            Flag("plain-http", SWITCH, "Allow other addresses without TLS"),
            Flag("repository-quota", BYTES, "Bytes that one repository may keep"),
            _ROOT_FLAG,
            Flag("tls-cert", TEXT, "File of the certificate", values="files"),
            Flag("tls-key", TEXT, "File of its key", values="files"),
        ),
    ),
    "registry user": Command(
        user,
        "[OPTIONS] add|rm|ls [NAME]",
        example="lading registry user --root /srv/registry --right pull,push:team/* add alice",
        detail=(
            "A right is pull, push and delete, with commas, and a pattern of repositories: * is a\n"
            "part of one component of a name, ** is anything."
        ),
        flags=(
            Flag("expires", DURATION, "How long the account is good for"),
            Flag("password-stdin", SWITCH, "Take the password from stdin"),
            Flag("quota", BYTES, "Bytes that the user may keep"),
            Flag("replace", SWITCH, "Replace a user of that name"),
            Flag("right", LIST, f"What the user may do (default {_DEFAULT_RIGHT})"),
            Flag("robot", SWITCH, "Make up the password, and print it"),
            _ROOT_FLAG,
        ),
        operands=(1, 2),
    ),
    "registry gc": Command(
        collect,
        "[OPTIONS]",
        example="lading registry gc --root /srv/registry --dry-run",
        detail="A registry that serves does this by itself, every minute.",
        flags=(_DRY_FLAG, _GRACE_FLAG, _ROOT_FLAG),
    ),
    "registry retain": Command(
        retain,
        "[OPTIONS]",
        example="lading registry retain --root /srv/registry --tags 'nightly-*' --keep-last 7",
        flags=(
            _DRY_FLAG,
            Flag("keep-last", NUMBER, "Keep so many of the newest tags of each repository"),
            Flag("keep-within", DURATION, "Keep what was pushed within this time (720h)"),
            Flag("repositories", TEXT, "Pattern of the repositories it is about", default="**"),
            _ROOT_FLAG,
            Flag("tags", TEXT, "Pattern of the tags it is about", default="*"),
            Flag("untagged", SWITCH, "Remove manifests that nothing leads to, too"),
        ),
    ),
    "registry scrub": Command(
        scrub,
        "[OPTIONS]",
        example="lading registry scrub --root /srv/registry",
        detail="A registry that serves does this by itself, over a week.",
        flags=(_ROOT_FLAG,),
    ),
}  # fmt: skip
