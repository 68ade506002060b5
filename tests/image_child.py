"""A process that loads an archive into a library until it is killed; started by the fault tests.

Usage: image_child.py ROOT TAR DRIVER
"""

from __future__ import annotations

import sys
from pathlib import Path

from image_box import Box
from lading.image import archive
from lading.snapshot.choose import DRIVERS


def main(root: Path, tar: Path, driver: str) -> None:
    box = Box(root, DRIVERS[driver])
    box.library.open()
    print("open", flush=True)
    with tar.open("rb") as stream:
        archive.load(box.library, stream)
    print("loaded", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
