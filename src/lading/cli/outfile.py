"""Write what the engine sends to a file that appears whole, or to a stdout that is no terminal."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable

from lading.cli.faults import Fault
from lading.cli.pump import write
from lading.cli.terminal import STDOUT, is_terminal


def check(path: str, doing: str) -> None:
    """Fault, before the engine is asked, where *path* (empty: stdout) cannot take the output."""
    if not path:
        if is_terminal(STDOUT):
            advice = "cowardly refusing to save to a terminal. Use the -o flag or redirect"
            raise Fault(f"{doing}: {advice}")
        return
    above = os.path.dirname(path) or "."  # noqa: PTH120 - pathlib costs 5 ms of a start
    try:
        os.stat(above)
    except OSError:
        raise Fault(f'{doing}: invalid output path: directory "{above}" does not exist') from None
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return
    if stat.S_ISDIR(mode) or stat.S_ISBLK(mode):
        raise Fault(f'{doing}: invalid output path: "{path}" is a directory or a device')
