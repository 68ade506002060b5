"""``lading login`` and ``lading logout``: remember and forget who we are for a registry."""

from __future__ import annotations

import sys

from lading.cli import sharing
from lading.cli.client import Client
from lading.cli.command import Command
from lading.cli.faults import Fault, Unreachable
from lading.cli.flags import SWITCH, TEXT, Arguments, Flag
from lading.cli.terminal import STDIN, is_terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lading.registry.credentials import Credentials

_DEFAULT = "docker.io"
_INSECURE = "WARNING! Using --password via the CLI is insecure. Use --password-stdin."


def log_in(arguments: Arguments, client: Client) -> int:
    """See that the registry takes the login, and keep it where Docker keeps it."""
    registry = _registry(arguments)
    given = _given(arguments, registry)
    token = _try(client, registry, given)
    kept = _kept(given, token)
    keyring = sharing.keyring()
    helper = keyring.put(registry, kept)
    if not helper:
        sharing.remark(
            f"\nWARNING! Your credentials are stored unencrypted in '{keyring.path}'.\n"
            "Configure a credential helper to remove this warning.\n"
        )
    print("Login Succeeded")
    return 0


def log_out(arguments: Arguments, client: Client) -> int:
    """Forget the login."""
    registry = _registry(arguments)
    print(f"Removing login credentials for {_shown(registry)}")
    if not sharing.keyring().remove(registry):
        print(f"Not logged in to {_shown(registry)}")
    return 0


def _registry(arguments: Arguments) -> str:
    """Host and port of what the user named, with or without a scheme."""
    named = arguments.operands[0] if arguments.operands else _DEFAULT
    bare = named.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return _DEFAULT if bare in ("", "index.docker.io", "registry-1.docker.io") else bare


def _shown(registry: str) -> str:
    return "https://index.docker.io/v1/" if registry == _DEFAULT else registry


def _given(arguments: Arguments, registry: str) -> Credentials:
    """The name and the password, from flags, standard input, the file or a person."""
    from lading.registry.credentials import Credentials

    username, password = arguments.text("username"), arguments.text("password")
    if arguments.on("password-stdin"):
        if password:
            raise Fault("--password and --password-stdin are mutually exclusive")
        if not username:
            raise Fault("Must provide --username with --password-stdin")
        password = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    elif password:
        sharing.remark(_INSECURE)
    if username and password:
        return Credentials(username, password)
    known = sharing.login(registry)
    if known and not username:
        sharing.remark(f"Authenticating with existing credentials... [Username: {known.username}]")
        return known
    return _asked(username)


def _asked(username: str) -> Credentials:
    from getpass import getpass

    from lading.registry.credentials import Credentials

    if not is_terminal(STDIN):
        raise Fault("cannot perform an interactive login from a non-TTY device")
    username = username or input("Username: ").strip()
    password = getpass("Password: ")
    if not username or not password:
        raise Fault("username and password are required")
    return Credentials(username, password)


def _try(client: Client, registry: str, given: Credentials) -> str:
    """The token that the registry gives for the login; Fault where it does not take it."""
    body = {
        "username": given.username,
        "password": given.password,
        "identitytoken": given.identity_token,
        "serveraddress": registry,
    }
    try:
        answer = client.post("/auth", body)
    except Unreachable:  # it can be done without an engine
        from lading.registry import hosts
        from lading.registry.login import log_in as directly
        from lading.registry.remotes import Remotes

        with Remotes(hosts.load).wire(registry, given) as wire:
            return directly(wire)
    return str(answer.get("IdentityToken") or "")


def _kept(given: Credentials, token: str) -> Credentials:
    from lading.registry.credentials import Credentials

    if not token:
        return given
    return Credentials(given.username, identity_token=token)


COMMANDS = {
    "login": Command(
        log_in,
        "[OPTIONS] [SERVER]",
        example="lading login -u me registry.example:5000",
        detail=(
            "Logins are kept where Docker keeps them, or with the credential helper named there."
        ),
        flags=(
            Flag("password", TEXT, "Password or Personal Access Token (PAT)", short="p"),
            Flag("password-stdin", SWITCH, "Take the Password or PAT from stdin"),
            Flag("username", TEXT, "Username", short="u"),
        ),
        operands=(0, 1),
    ),
    "logout": Command(
        log_out, "[SERVER]", example="lading logout registry.example:5000", operands=(0, 1)
    ),
}
