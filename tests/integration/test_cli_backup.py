"""``lading backup`` and ``lading restore`` as a user types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine_daemon import Daemon


def lading(
    daemon: Daemon, *words: object, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LADING_HOST": daemon.settings.host}
    return subprocess.run(
        [sys.executable, "-m", "lading", *map(str, words)],
        env=environment, cwd=cwd, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def ok(daemon: Daemon, *words: object, cwd: Path | None = None) -> str:
    done = lading(daemon, *words, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_whole_story_with_a_passphrase(daemon: Daemon, tmp_path: Path) -> None:
    phrase = tmp_path / "phrase"
    phrase.write_text("open sesame\n")
    secret = ("--passphrase-file", phrase)
    daemon.run("sh", "-c", "echo hello > /data/f; sleep 1000", name="web",
               HostConfig={"Binds": ["site:/data"]})  # fmt: skip
    made = lading(daemon, "backup", "create", "web", "--to", "backups", *secret, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    ref = made.stdout.strip()
    assert ref.startswith(f"{tmp_path}/backups:backup-")  # the name is not to be read there
    assert "paused for" in made.stderr
    (listed,) = json.loads(ok(daemon, "backup", "ls", "--json", tmp_path / "backups", *secret))
    assert (listed["ref"], listed["container"]) == (ref, "web")
    assert "docker run --detach --name web" in ok(daemon, "backup", "show", ref, *secret)
    assert " /data/f\n" in ok(daemon, "backup", "files", ref, *secret)
    assert ok(daemon, "backup", "cat", ref, "/data/f", *secret) == "hello\n"
    assert ok(daemon, "backup", "verify", "--read-data", ref, *secret) == ""
    assert ok(daemon, "backup", "diff", ref, ref, *secret) == ""
    copied = ok(daemon, "backup", "copy", ref, tmp_path / "copy", *secret).strip()
    assert ok(daemon, "rm", "-f", "-v", "web") and ok(daemon, "volume", "rm", "site")
    assert ok(daemon, "restore", "--start", copied, *secret) == "web\n"
    assert ok(daemon, "exec", "web", "cat", "/data/f") == "hello\n"
    assert ok(daemon, "backup", "prune", "--keep-last", 1, tmp_path / "backups", *secret) == ""
    wrong = tmp_path / "wrong"
    wrong.write_text("something else")
    for flags in ((), ("--passphrase-file", wrong)):
        refused = lading(daemon, "backup", "ls", tmp_path / "backups", *flags)
        assert refused.returncode == 1 and "pass" in refused.stderr


def test_damage_shows_in_the_exit_code(daemon: Daemon, tmp_path: Path) -> None:
    daemon.create("sleep", "1", name="web")
    ref = ok(daemon, "backup", "create", "-q", "web", "--to", tmp_path / "t").strip()
    largest = max((tmp_path / "t/blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1])
    found = lading(daemon, "backup", "verify", tmp_path / "t")
    assert found.returncode == 1
    assert ref in found.stdout and largest.name in found.stdout


@pytest.mark.parametrize(
    "words",
    [
        ["backup", "create", "web", "--to", "/t", "--from", "docker://"],
        ["backup", "verify", "--boot", "/t"],
        ["backup", "schedule"],
        ["adopt", "web"],
    ],
    ids=" ".join,
)
def test_what_is_not_there_yet_is_refused_by_name(daemon: Daemon, words: list[str]) -> None:
    refused = lading(daemon, *words)
    assert refused.returncode != 0
    assert "supported" in refused.stderr


def test_a_backup_without_a_target_is_a_misuse(daemon: Daemon) -> None:
    assert "target is wanted" in lading(daemon, "backup", "create", "web").stderr
    assert "TARGET:REF" in lading(daemon, "restore", "nonsense").stderr
