"""A process that works with a snapshotter until it is killed; started by the fault tests.

Usage: snapshot_child.py DRIVER ROOT JOB...   JOB: add=TAR, prepare=KEY, remove=KEY, drop=DIGEST,
flood=COUNT (adds that many layers, saying each one's number when it is acknowledged), unsafe
(from here on nothing is made durable).
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

from lading.linux import files
from lading.oci.digest import Digest
from lading.snapshot import overlay
from lading.snapshot.choose import DRIVERS
from lading.snapshot.protocol import Snapshotter
from lading.snapshot.trash import at_once
from tarball import Tarball


def flood_tar(number: int) -> bytes:
    """A layer that differs from all others, of small and larger files."""
    tar = Tarball().directory("d").file("d/number", b"%d" % number)
    for n in range(20):
        tar.file(f"d/file{n}", b"%d.%d " % (number, n) * (n * n * 8))
    return tar.content


def main(name: str, root: Path, jobs: list[str]) -> None:
    driver = DRIVERS[name](root / "layers", root / "containers", at_once)
    for job in jobs:
        word, _, value = job.partition("=")
        perform(driver, word, value)


def perform(driver: Snapshotter, word: str, value: str) -> None:
    if word == "add":
        with open(value, "rb") as stream:
            driver.add(None, stream)
    elif word == "prepare":
        driver.prepare(value, sorted(driver.layers()))
    elif word == "remove":
        driver.remove(value)
    elif word == "drop":
        driver.remove(Digest(value))
    elif word == "unsafe":
        os.fsync = lambda descriptor: None  # type: ignore[assignment]
        files.sync_tree = overlay.sync_tree = lambda path: None
    elif word == "flood":
        for number in range(int(value)):
            driver.add(None, io.BytesIO(flood_tar(number)))
            print(number, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
