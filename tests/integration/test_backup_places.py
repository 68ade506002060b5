"""Containers carried through a registry with a login, a bucket, and a host with only sshd."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bucket_server import bucket_server
from debian_registry import PASSWORD, USER, debian_registry
from engine_daemon import Daemon


@dataclass(frozen=True)
class Away:
    """A target, and the environment in which its user has a login there."""

    target: str
    environment: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def registry(folder: Path) -> Iterator[Away]:
    with debian_registry(folder / "registry", users=True) as found:
        environment = {"DOCKER_CONFIG": str(folder / "docker")}
        words = ("login", "-u", USER, "-p", PASSWORD, found.host)
        lading(Away("", environment), os.environ.get("LADING_HOST", ""), *words)
        yield Away(f"{found.host}/backups/web", environment)


@contextmanager
def bucket(folder: Path) -> Iterator[Away]:
    with bucket_server(folder / "s3") as found:
        yield Away(f"s3://{found.bucket}/web", found.environment)


PLACES = {"registry": registry, "bucket": bucket}


@pytest.fixture(params=PLACES)
def away(
    request: pytest.FixtureRequest, tmp_path: Path, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Away]:
    monkeypatch.setenv("LADING_HOST", daemon.settings.host)
    with PLACES[request.param](tmp_path) as found:
        yield found


def lading(
    away: Away, host: str, *words: object, code: int = 0
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HOME": "/nowhere", "LADING_HOST": host, **away.environment}
    done = subprocess.run(
        [sys.executable, "-m", "lading", *map(str, words)],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == code, done
    return done


def test_a_container_goes_there_and_comes_back(daemon: Daemon, away: Away, tmp_path: Path) -> None:
    def run(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        return lading(away, daemon.settings.host, *words, code=code)

    daemon.run("sh", "-c", "echo hello > /data/f; sleep 1000", name="web",
               HostConfig={"Binds": ["site:/data"]})  # fmt: skip
    first = run("backup", "create", "-q", "web", "--to", away.target).stdout.strip()
    second = run("backup", "create", "-q", "web", "--to", away.target).stdout.strip()
    assert first.startswith(f"{away.target}:web-")
    listed = json.loads(run("backup", "ls", "--json", away.target).stdout)
    assert [each["ref"] for each in listed] == [first, second]
    assert listed[1]["added"] < listed[0]["added"]
    assert run("backup", "cat", first, "/data/f").stdout == "hello\n"
    assert run("backup", "verify", "--read-data", away.target).stdout == ""
    assert run("backup", "prune", "--keep-last", 1, away.target).stdout.strip() == first
    run("rm", "-f", "-v", "web")
    run("volume", "rm", "site")
    assert run("restore", "--start", second).stdout == "web\n"
    assert run("exec", "web", "cat", "/data/f").stdout == "hello\n"
    copied = run("backup", "copy", second, tmp_path / "here").stdout.strip()
    assert run("backup", "verify", "--read-data", copied).stdout == ""


def test_without_a_login_nothing_is_done(daemon: Daemon, away: Away) -> None:
    daemon.create("sleep", "1", name="web")
    nobody = Away(away.target, {**away.environment, "DOCKER_CONFIG": "/nowhere"})
    if "AWS_SECRET_ACCESS_KEY" in away.environment:
        nobody.environment["AWS_SECRET_ACCESS_KEY"] = "wrong"  # type: ignore[index]  # a dict here
    refused = lading(nobody, daemon.settings.host, "backup", "create", "web", "--to", away.target,
                     code=1)  # fmt: skip
    assert len(refused.stderr.splitlines()) == 1
