"""An engine's networks in a process of their own, killed while containers are attached.

``network_child.py ROOT RUN NAME...`` attaches a container for each name, and dies.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from lading.network.networks import Networks
from lading.network.values import AttachRequest, PortRequest
from lading.settings import Settings
from lading.store.database import Database
from network_box import id_of


def main(root: str, run_root: str, *names: str) -> None:
    settings = Settings(Path(root), Path(run_root))
    networks = Networks(settings, Database(settings.state_db))
    networks.open()
    for name in names:
        networks.attach(id_of(name), AttachRequest(name, ports=(PortRequest(80),)))
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
