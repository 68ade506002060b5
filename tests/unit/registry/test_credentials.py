"""Docker's file of logins, and the programs that it names."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

import pytest

from lading.errors import Invalid
from lading.registry.credentials import (
    ANONYMOUS,
    Credentials,
    HelperFailed,
    InvalidConfig,
    Keyring,
    from_header,
    to_header,
)

ME = Credentials("me", "pass:word")


def entry(name: str = "me", password: str = "pass:word") -> dict[str, str]:
    return {"auth": base64.b64encode(f"{name}:{password}".encode()).decode()}


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "docker" / "config.json")


def written(keyring: Keyring, document: object) -> Keyring:
    keyring.path.parent.mkdir(exist_ok=True)
    keyring.path.write_text(json.dumps(document))
    return keyring


def test_what_is_kept_is_there_again_for_its_owner_alone(keyring: Keyring) -> None:
    keyring.put("registry.example:5000", ME)
    assert keyring.get("registry.example:5000") == ME
    assert stat.S_IMODE(keyring.path.stat().st_mode) == 0o600


def test_other_parts_of_the_file_stay(keyring: Keyring) -> None:
    written(keyring, {"auths": {"other": entry()}, "psFormat": "x"}).put("registry.example", ME)
    kept = json.loads(keyring.path.read_text())
    assert kept["psFormat"] == "x"
    assert set(kept["auths"]) == {"other", "registry.example"}


def test_a_file_that_is_a_link_stays_one(keyring: Keyring, tmp_path: Path) -> None:
    keyring.path.parent.mkdir()
    keyring.path.symlink_to(tmp_path / "elsewhere.json")
    keyring.put("registry.example", ME)
    assert keyring.path.is_symlink()
    assert keyring.get("registry.example") == ME


@pytest.mark.parametrize(
    "name",
    ["host:5000", "https://host:5000", "https://host:5000/v1/", "http://host:5000/v2/"],
)
def test_old_ways_to_write_a_host_are_understood(keyring: Keyring, name: str) -> None:
    assert written(keyring, {"auths": {name: entry()}}).get("host:5000") == ME


@pytest.mark.parametrize(
    ("kept", "asked"),
    [
        ("registry.local", "registry.local.evil.com"),
        ("registry.local", "evil.registry.local"),
        ("registry.local", "registry.local:5000"),
        ("registry.local:5000", "registry.local"),
        ("registry.local", "registry.local."),
        ("https://registry.local@evil.com/v1/", "registry.local"),
        ("https://user@registry.local/", "registry.local"),
        ("https://evil.com/registry.local", "registry.local"),
        ("https://index.docker.io/v1/", "index.docker.io.evil.com"),
    ],
)
def test_a_login_is_for_exactly_its_host_and_port(keyring: Keyring, kept: str, asked: str) -> None:
    """HOSTILE 32."""
    assert written(keyring, {"auths": {kept: entry()}}).get(asked) == ANONYMOUS


@pytest.mark.parametrize("name", ["docker.io", "index.docker.io", "registry-1.docker.io"])
def test_dockers_registry_has_its_old_name(keyring: Keyring, name: str) -> None:
    keyring.put(name, ME)
    assert list(json.loads(keyring.path.read_text())["auths"]) == ["https://index.docker.io/v1/"]
    assert keyring.get("docker.io") == ME


def test_a_token_is_kept_instead_of_a_password(keyring: Keyring) -> None:
    keyring.put("host", Credentials("me", "secret", identity_token="token"))
    assert "secret" not in keyring.path.read_text()
    found = keyring.get("host")
    assert (found.username, found.password, found.identity_token) == ("me", "", "token")


def test_logging_out_forgets(keyring: Keyring) -> None:
    keyring.put("host", ME)
    assert keyring.remove("host")
    assert not keyring.remove("host")
    assert keyring.get("host") == ANONYMOUS


@pytest.mark.parametrize("content", ["[]", "{", "nonsense", '{"auths": 5'])
def test_a_broken_file_is_told_of_and_left_alone(keyring: Keyring, content: str) -> None:
    keyring.path.parent.mkdir()
    keyring.path.write_text(content)
    with pytest.raises(InvalidConfig, match=r"config\.json"):
        keyring.put("host", ME)
    assert keyring.path.read_text() == content


def test_odd_entries_are_nobodys(keyring: Keyring) -> None:
    odd = {"a": 5, "b": {"auth": 5}, "c": {"auth": "%%%"}, "d": {"auth": "bm9jb2xvbg=="}, "e": None}
    written(keyring, {"auths": odd})
    assert [keyring.get(name) for name in odd] == [ANONYMOUS] * len(odd)


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A credential helper called ``box`` that writes down what it is told."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "docker-credential-box"
    script.write_text(
        f'#!/bin/sh\necho "$1" >> {tmp_path}/verbs\nfile={tmp_path}/$1\n'
        'case "$1" in get) cat > $file; case "$(cat $file)" in\n'
        '  token) echo \'{"Username":"<token>","Secret":"t"}\';;\n'
        '  *evil*) echo "credentials not found in native keychain"; exit 1;;\n'
        '  odd) echo 5;; broken) echo "no keychain" >&2; exit 2;;\n'
        '  *) echo \'{"Username":"me","Secret":"pass:word"}\';; esac;;\n'
        "*) cat > $file;; esac\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return tmp_path


def test_a_store_keeps_all_secrets(keyring: Keyring, helper: Path) -> None:
    written(keyring, {"credsStore": "box"})
    assert keyring.put("host:5000", ME) == "box"
    told = {"ServerURL": "host:5000", "Username": "me", "Secret": "pass:word"}
    assert json.loads((helper / "store").read_text()) == told
    assert 'auth"' not in keyring.path.read_text()
    assert keyring.get("host:5000") == ME
    assert keyring.get("token") == Credentials(identity_token="t")
    keyring.remove("host:5000")
    assert (helper / "erase").read_text() == "host:5000"


def test_a_helper_is_for_its_registry_alone(keyring: Keyring, helper: Path) -> None:
    written(keyring, {"credHelpers": {"host": "box"}})
    assert keyring.get("host") == ME
    assert keyring.get("host:5000") == ANONYMOUS


def test_a_helper_that_knows_nothing_is_no_failure(keyring: Keyring, helper: Path) -> None:
    assert written(keyring, {"credsStore": "box"}).get("evil") == ANONYMOUS


@pytest.mark.parametrize(
    ("store", "host", "told"),
    [
        ("box", "odd", "something else"),
        ("box", "broken", "no keychain"),
        ("missing", "host", "not found"),
        ("../../bin/sh", "host", "not the name of a helper"),
    ],
)
def test_a_helper_that_fails_is_told_of(
    keyring: Keyring, helper: Path, store: str, host: str, told: str
) -> None:
    with pytest.raises(HelperFailed, match=told):
        written(keyring, {"credsStore": store}).get(host)


def test_a_login_travels_to_the_engine_and_back() -> None:
    for each in (ME, Credentials(identity_token="t"), Credentials(registry_token="r")):
        assert from_header(to_header(each, "host")) == each
    assert from_header("") == ANONYMOUS
    assert from_header("e30=") == ANONYMOUS


@pytest.mark.parametrize("header", ["bm8=", "%%%%YQ==", base64.b64encode(b"{").decode()])
def test_a_header_that_is_none_is_refused(header: str) -> None:
    with pytest.raises(Invalid, match="X-Registry-Auth"):
        from_header(header)


def test_secrets_are_not_shown() -> None:
    assert "secret" not in repr(Credentials("me", "secret"))
