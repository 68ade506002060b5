"""Backup targets and their secrets, as the user names them: made fit for the engine."""

from __future__ import annotations

import os

from lading.cli.faults import Fault, Misuse
from lading.cli.flags import TEXT, Arguments, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SECRET_FLAGS = (
    Flag("key-file", TEXT, "File with the key of an encrypted target"),
    Flag("passphrase-file", TEXT, "File with the passphrase of an encrypted target"),
)
_SCHEMES = ("s3://", "ssh://", "docker://")


def target(text: str) -> str:
    """TARGET with an absolute path; what may be a registry, or has a scheme, stays as it is."""
    if not text:
        raise Misuse("a backup target is wanted: a directory, or oci:DIRECTORY", 1)
    if text.startswith("oci:"):
        return "oci:" + absolute(text.removeprefix("oci:"))
    if text.startswith(_SCHEMES) or _is_registry(text):
        return text
    return absolute(text)


def logins(*texts: str) -> dict[str, Any]:
    """The member of a request's body with the user's logins for what *texts* name."""
    plain = [text for text in texts if not text.startswith(_SCHEMES)]
    domains = {text.partition("/")[0] for text in plain if _is_registry(text)}
    found: dict[str, dict[str, str]] = {}
    if any(text.startswith("s3://") for text in texts):
        from lading.cli.buckets import options

        found["s3"] = options(os.environ)
    if domains:
        from lading.cli.sharing import login
        from lading.registry.credentials import entry

        found |= {domain: entry(login(domain), domain) for domain in sorted(domains)}
    return {"Logins": found} if found else {}


def absolute(path: str) -> str:
    """*path* as the engine understands it, which works elsewhere."""
    from pathlib import Path

    return os.path.normpath(Path.cwd() / path)


def ref(text: str) -> str:
    """TARGET:REF, which splits at the last colon."""
    where, colon, tag = text.rpartition(":")
    if not colon or not where or "/" in tag:
        raise Misuse(f"TARGET:REF is wanted, as 'lading backup ls TARGET' prints it: {text}", 1)
    return f"{target(where)}:{tag}"


def secret(arguments: Arguments) -> dict[str, Any]:
    """The member of a request's body that opens the target, if a flag names one."""
    phrase, key = arguments.text("passphrase-file"), arguments.text("key-file")
    if phrase and key:
        raise Misuse("--passphrase-file and --key-file exclude each other", 1)
    if not phrase and not key:
        return {}
    from base64 import b64encode

    try:
        with open(phrase or key, "rb") as file:
            content = file.read(1024 * 1024)
    except OSError as error:
        raise Fault(f"cannot read {phrase or key}: {error.strerror}") from None
    kind = "passphrase" if phrase else "keyfile"
    return {"Secret": {"Kind": kind, "Content": b64encode(content).decode()}}


def pairs(texts: list[str], flag: str) -> dict[str, str]:
    """``OLD:NEW`` of a flag that maps; Misuse."""
    found = {}
    for text in texts:
        old, colon, new = text.partition(":")
        if not colon or not old or not new:
            raise Misuse(f"{flag} takes OLD:NEW, found: {text}", 1)
        found[old] = new
    return found


def _is_registry(text: str) -> bool:
    """By Docker's rule for the first part of a name; a path that exists is one."""
    first, slash, _ = text.partition("/")
    known = "." in first.strip(".") or ":" in first or first == "localhost"
    return bool(slash and first) and known and not os.path.lexists(first)
