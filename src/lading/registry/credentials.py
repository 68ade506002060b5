"""Names and passwords for registries, where Docker's command line keeps them: ``config.json``.

A registry is known by its exact host and port.  Where the file names a program for it
(``credHelpers``, ``credsStore``) that program keeps the secret.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lading.errors import Invalid, Unavailable

HUB = "https://index.docker.io/v1/"  # what docker.io is called in the file
_HUB_NAMES = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HELPER_SECONDS = 60
_BY_TOKEN = "<token>"  # the name under which helpers keep an identity token


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """Who we are for one registry; empty for nobody."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""

    def __bool__(self) -> bool:
        return bool(self.username or self.identity_token or self.registry_token)


ANONYMOUS = Credentials()


class InvalidConfig(Invalid):
    """Raised for a configuration file that cannot be read as one."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"invalid configuration file {path}: {why}")


class HelperFailed(Unavailable):
    """Raised where a credential helper does not do its work."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"error getting credentials - docker-credential-{name}: {why[:300]}")


def default_path(environment: Mapping[str, str]) -> Path:
    """Where the file is for this user."""
    folder = environment.get("DOCKER_CONFIG")
    return (
        Path(folder) if folder else Path(environment.get("HOME", "/root")) / ".docker"
    ).joinpath("config.json")


def key(registry: str) -> str:
    """What *registry* (host and port) is called in the file."""
    return HUB if registry in _HUB_NAMES else registry


class Keyring:
    """The file and the programs that it names."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, registry: str) -> Credentials:
        """For exactly that host and port; ANONYMOUS where there are none; InvalidConfig."""
        document = self._read()
        helper = _program(document, registry)
        if helper:
            return self._ask(helper, registry)
        return _stored(document, registry)

    def registries(self) -> list[str]:
        """Those that the file knows something of, as it calls them; InvalidConfig."""
        document = self._read()
        return sorted({*_table(document.get("auths")), *_table(document.get("credHelpers"))})

    def put(self, registry: str, credentials: Credentials) -> str:
        """Keep them; the name of the helper that does, empty where the file does."""
        document = self._read()
        helper = _program(document, registry)
        auths = document.setdefault("auths", {})
        if helper:
            name, secret = credentials.username, credentials.password
            if credentials.identity_token:
                name, secret = _BY_TOKEN, credentials.identity_token
            wanted = {"ServerURL": key(registry), "Username": name, "Secret": secret}
            _run(helper, "store", json.dumps(wanted))
            auths[key(registry)] = {}
        else:
            auths[key(registry)] = _entry(credentials)
        self._write(document)
        return helper

    def remove(self, registry: str) -> bool:
        """Forget them; whether there were any."""
        document = self._read()
        helper = _program(document, registry)
        auths = _table(document.get("auths"))
        names = [name for name in auths if _is_for(name, registry)]
        if helper:
            with suppress(HelperFailed):
                _run(helper, "erase", key(registry))
        for name in names:
            del auths[name]
        if names:
            self._write(document)
        return bool(names)

    def _ask(self, helper: str, registry: str) -> Credentials:
        try:
            answer = _run(helper, "get", key(registry))
        except HelperFailed as error:
            if "credentials not found" in str(error):
                return ANONYMOUS
            raise
        try:
            found = json.loads(answer)
            name, secret = str(found["Username"]), str(found["Secret"])
        except (ValueError, KeyError, TypeError):
            raise HelperFailed(helper, "it answered with something else") from None
        if name == _BY_TOKEN:
            return Credentials(identity_token=secret)
        return Credentials(name, secret)

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self.path.read_bytes() or b"{}")
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (ValueError, OSError) as error:
            raise InvalidConfig(self.path, str(error)) from None
        if not isinstance(found, dict):
            raise InvalidConfig(self.path, "it is not an object")
        return found

    def _write(self, document: Mapping[str, Any]) -> None:
        """The whole file or the old one; for its owner only."""
        path = Path(os.path.realpath(self.path))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(part, flags, 0o600), "w") as out:
                json.dump(document, out, indent="\t")
                out.flush()
                os.fsync(out.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def _stored(document: Mapping[str, Any], registry: str) -> Credentials:
    """From ``auths``; the exact key goes before those that only mean it."""
    auths = _table(document.get("auths"))
    names = [key(registry), *(name for name in auths if _is_for(name, registry))]
    for name in names:
        found = _decoded(_table(auths.get(name)))
        if found:
            return found
    return ANONYMOUS


def _is_for(name: str, registry: str) -> bool:
    """Whether the entry called *name* is that of *registry*, to the letter.

    Old entries are URLs: ``https://host:port/v1/``.  A user name in one makes it another.
    """
    if name == key(registry):
        return True
    if registry in _HUB_NAMES:
        return False
    bare = name.removeprefix("https://").removeprefix("http://")
    return bare.partition("/")[0] == registry


def _program(document: Mapping[str, Any], registry: str) -> str:
    helpers = _table(document.get("credHelpers"))
    name = helpers.get(key(registry)) or document.get("credsStore") or ""
    if name and not (isinstance(name, str) and _HELPER.fullmatch(name)):
        raise HelperFailed(str(name)[:40], "this is not the name of a helper")
    return str(name)


def _run(helper: str, verb: str, given: str) -> str:
    command = [f"docker-credential-{helper}", verb]
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, text=True, timeout=_HELPER_SECONDS,
            check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise HelperFailed(helper, "executable file not found in $PATH") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise HelperFailed(helper, str(error)) from None
    if done.returncode:
        raise HelperFailed(helper, (done.stdout or done.stderr).strip())
    return done.stdout


def _entry(credentials: Credentials) -> dict[str, str]:
    secret = "" if credentials.identity_token else credentials.password
    pair = f"{credentials.username}:{secret}".encode()
    entry = {"auth": base64.b64encode(pair).decode()}
    if credentials.identity_token:
        entry["identitytoken"] = credentials.identity_token
    return entry


def _decoded(entry: Mapping[str, Any]) -> Credentials:
    found = dict(_texts(entry))
    name, password = found.get("username", ""), found.get("password", "")
    with suppress(ValueError, binascii.Error):
        pair = base64.b64decode(found.get("auth", "")).decode().rstrip("\0")
        if ":" in pair:
            name, _, password = pair.partition(":")
    return Credentials(
        name, password, found.get("identitytoken", ""), found.get("registrytoken", "")
    )


def from_header(header: str) -> Credentials:
    """What a client sends as ``X-Registry-Auth``: base64 of an entry; ANONYMOUS for nothing."""
    try:
        raw = base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))
        entry = json.loads(raw or b"{}")
    except (ValueError, binascii.Error, RecursionError):
        raise Invalid("invalid X-Registry-Auth header: it is not base64 of JSON") from None
    return from_entry(_table(entry))


def from_entry(entry: Mapping[str, Any]) -> Credentials:
    """What the API's ``AuthConfig`` says."""
    return _decoded(entry)


def to_header(credentials: Credentials, registry: str) -> str:
    """*credentials* as ``X-Registry-Auth``."""
    kept = entry(credentials, registry)
    return base64.urlsafe_b64encode(json.dumps(kept).encode()).decode()


def entry(credentials: Credentials, registry: str) -> dict[str, str]:
    """*credentials* as the API's ``AuthConfig``."""
    fields = {
        "username": credentials.username,
        "password": credentials.password,
        "identitytoken": credentials.identity_token,
        "registrytoken": credentials.registry_token,
        "serveraddress": key(registry),
    }
    return {name: value for name, value in fields.items() if value}


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from ((name, value) for name, value in entry.items() if isinstance(value, str))
