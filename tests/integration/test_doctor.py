"""Doctor on a real host: what it tries works here, and nothing is left of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lading.linux import mounts

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def doctor(*words: str) -> Any:
    command = [sys.executable, "-m", "lading", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, json.loads(done.stdout)


def surroundings() -> tuple[object, ...]:
    """What a trial could leave behind: mounts, links, control groups, temporary files."""
    # Another engine's groups may come and go meanwhile, but they are never empty for long.
    found = Path("/sys/fs/cgroup").glob("*/lading-*")
    groups = {str(group) for group in found if not any(p.is_dir() for p in group.iterdir())}
    temporary = {name for name in os.listdir("/tmp") if "doctor" in name}
    mounted = {entry.target for entry in mounts.table() if "doctor" in str(entry.target)}
    return mounted, {n for n in os.listdir("/sys/class/net") if "doctor" in n}, groups, temporary


def test_this_host_is_found_usable_and_left_as_it_was(tmp_path: Path) -> None:
    before = surroundings()
    host = f"unix://{tmp_path}/none"
    code, told = doctor("-H", host, "doctor", "--root", str(tmp_path / "r"), "--format", "json")
    states = {check["Name"]: check["State"] for check in told["Checks"]}
    assert (code, told["Usable"]) == (0, True), told
    for name in ("runtime", "conmon", "overlay", "bridge", "veth", "nftables"):
        assert states[name] == "ok", told
    assert states["daemon"] == "warning"
    assert os.listdir(tmp_path) == []
    assert surroundings() == before


def test_without_what_it_needs_the_host_is_not_usable(tmp_path: Path) -> None:
    """As another user, who may not do what an engine does."""
    command = ["setpriv", "--reuid", "65534", "--clear-groups", sys.executable, "-m", "lading"]
    done = subprocess.run(
        [*command, "doctor"], capture_output=True, text=True, timeout=60, cwd="/", check=False
    )
    if "No module named" in done.stderr or "Permission denied" in done.stderr:
        pytest.skip("another user may not read this checkout")
    assert done.returncode == 1, done.stderr
    assert "mend it: sudo lading doctor" in done.stdout
    assert "cannot run lading yet" in done.stdout
