"""Volumes of an engine that is killed at any moment: the old state or the new one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lading.events import Bus
from lading.store.database import Database
from lading.volume.volumes import Volumes

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
KILLS = 40
# Make, fill and remove volumes for ever; say which ones were acknowledged.
CHILD = """
import itertools, sys
from pathlib import Path
from lading.events import Bus
from lading.store.database import Database
from lading.volume.volumes import Volumes

root, turn = Path(sys.argv[1]), sys.argv[2]
volumes = Volumes(root / "volumes", Database(root / "state.db"), Bus())
volumes.open()
print("open", flush=True)
for n in itertools.count():
    volume = volumes.create(f"v{turn}-{n}")
    print("made", volume.name, flush=True)
    volumes.seed(volume, root / "image", "/srv")
    print("filled", volume.name, flush=True)
    if n % 3 == 0:
        print("removing", volume.name, flush=True)
        volumes.remove(volume.name)
        print("removed", volume.name, flush=True)
"""


def opened(root: Path) -> Volumes:
    volumes = Volumes(root / "volumes", Database(root / "state.db"), Bus())
    volumes.open()
    return volumes


def killed(root: Path, turn: int, seconds: float) -> list[tuple[str, str]]:
    """What the engine said before it was killed."""
    argv = [sys.executable, "-c", CHILD, str(root), str(turn)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        assert child.stdout.readline() == "open\n"
        time.sleep(seconds)
        child.send_signal(signal.SIGKILL)
        lines = child.stdout.read().split("\n")[:-1]
    return [(word, name) for word, _, name in (line.partition(" ") for line in lines)]


def test_a_kill_at_any_moment_loses_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "image/srv/deep").mkdir(parents=True)
    for name in ("a", "b", "deep/c"):
        (tmp_path / "image/srv" / name).write_text(name)
    whole = {"a", "b", "deep", "deep/c"}
    chance = random.Random(7)
    filled: set[str] = set()
    gone: set[str] = set()
    for turn in range(KILLS):
        said = killed(tmp_path, turn, chance.uniform(0, 0.04))
        filled |= {name for word, name in said if word == "filled"}
        filled -= {name for word, name in said if word == "removing"}
        gone |= {name for word, name in said if word == "removed"}
        volumes = opened(tmp_path)
        found = {volume.name: volume.path for volume in volumes.list()}
        assert filled <= set(found)
        assert not gone & set(found)
        for name, path in found.items():
            inside = {str(p.relative_to(path)) for p in path.rglob("*")}
            assert inside == whole or (name not in filled and not inside)
        assert {path.name for path in (tmp_path / "volumes").iterdir()} == set(found)
    assert filled
    assert gone
