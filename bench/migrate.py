#!/usr/bin/env python3
"""Measure the downtime of a migration: a volume of 1 GiB, of which 16 MiB change all the time.

As root: ``.venv/bin/python bench/migrate.py [--rounds N]``.  Two engines on roots of their own in
one network namespace; the budget is that of PERFORMANCE.md.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from engine_daemon import Daemon

BUDGET = 2.0  # seconds
_FILES, _DIRTY = 64, 1  # of 16 MiB each
_SCRIPT = (
    f"test -e /data/file{_FILES} || for n in $(seq {_FILES}); do "
    "head -c 16777216 /dev/urandom > /data/file$n; done; "
    "sync /data; echo ready; "
    f"while :; do for n in $(seq {_DIRTY}); do head -c 16777216 /dev/urandom > /data/new; "
    "mv /data/new /data/file$n; done; sleep 0.3; done"
)


def main() -> int:
    """Print each downtime and the median; 1 when that is over the budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with ExitStack() as stack:
        sides = [_daemon(stack), _daemon(stack)]
        _run(sides[0])
        found = []
        for _ in range(rounds):
            found.append(_downtime(*sides))
            sides.reverse()
            time.sleep(1)
    middle = statistics.median(found)
    print("downtime " + ", ".join(f"{each:.2f} s" for each in found))
    print(f"median {middle:.2f} s, budget {BUDGET:.1f} s")
    return int(middle > BUDGET)


def _daemon(stack: ExitStack) -> Daemon:
    directory = Path(tempfile.mkdtemp(prefix="lading-"))
    stack.callback(shutil.rmtree, directory, ignore_errors=True)
    daemon = Daemon(directory)
    stack.callback(daemon.reset)
    daemon.start()
    return daemon


def _run(daemon: Daemon) -> None:
    daemon.load_busybox()
    container = daemon.run("sh", "-c", _SCRIPT, name="web", HostConfig={"Binds": ["big:/data"]})
    while b"ready" not in daemon.output(container).body:
        time.sleep(0.1)


def _downtime(here: Daemon, there: Daemon) -> float:
    moved = here.lading("migrate", "web", there.settings.host, timeout=600)
    print(moved.stderr, end="")
    assert moved.returncode == 0
    return float(moved.stderr.rpartition("downtime ")[2].split()[0])


if __name__ == "__main__":
    sys.exit(main())
