"""What runs in a container, as ``ps`` on the host sees it: ``docker top``."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Collection, Sequence

from lading.errors import Invalid, Unsupported

_SECONDS = 10.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class NoPs(Unsupported):
    """Raised where the host has no ``ps``."""

    def __init__(self) -> None:
        super().__init__("top needs the host's ps: apt-get install procps")


class BadPsArguments(Invalid):
    """Raised for arguments that ``ps`` does not take, or that leave out the PID."""


def table(pids: Collection[int], arguments: str) -> tuple[list[str], list[list[str]]]:
    """Titles and rows of ``ps`` under *arguments*, for the processes *pids* alone."""
    lines = _ps(arguments.split()).splitlines()
    titles = lines[0].split() if lines else []
    column = _pid_column(titles)
    rows = [line.split(None, len(titles) - 1) for line in lines[1:]]
    return titles, [row for row in rows if _pid(row, column) in pids]


def _ps(words: Sequence[str]) -> str:
    program = shutil.which("ps", path=_PATH)
    if program is None:
        raise NoPs
    try:
        done = subprocess.run(
            [program, *words],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            env={"PATH": _PATH, "LC_ALL": "C.UTF-8"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise BadPsArguments(f"error running ps: {error}") from None
    if done.returncode:
        said = done.stderr.strip().partition("\n")[0] or f"exit status {done.returncode}"
        raise BadPsArguments(f"error running ps: {said}")
    return done.stdout


def _pid_column(titles: Sequence[str]) -> int:
    if "PID" not in titles:
        raise BadPsArguments("couldn't find PID field in ps output")
    return titles.index("PID")


def _pid(row: Sequence[str], column: int) -> int:
    return int(row[column]) if column < len(row) and row[column].isdigit() else -1
