"""The daemon on a kernel that does not know EROFS: every mount of it fails as it does there.

Usage: kernel_without_erofs.py daemon OPTIONS...
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from lading.__main__ import main
from lading.linux import mounts
from lading.linux.mounts import Mount, MountFailed

_perform = mounts._perform


def _refusing(mount: Mount, target: Path) -> None:
    if mount.type == "erofs":
        raise MountFailed(mount, target, errno.ENODEV, os.strerror(errno.ENODEV))
    _perform(mount, target)


if __name__ == "__main__":
    mounts._perform = _refusing
    sys.exit(main())
