"""The directory that an OCI runtime starts a container from: config.json and nothing secretive.

The environment in it holds secrets, so only root may read it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

CONFIG = "config.json"


def write(bundle: Path, config: dict[str, Any]) -> Path:
    """Put *config* into *bundle* (made if need be, 0700); the bundle's path.

    Not synced: a bundle is made anew for every start.
    """
    bundle.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(bundle / CONFIG, config)
    return bundle


def write_private(path: Path, document: dict[str, Any]) -> None:
    """Write *document* as JSON for root's eyes only, replacing what was there."""
    text = json.dumps(document, ensure_ascii=True, separators=(",", ":"))
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(fd, "w", encoding="ascii") as file:
        file.write(text)
