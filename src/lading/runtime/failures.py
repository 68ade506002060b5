"""What an OCI runtime says when it fails, in Docker's words and with Docker's exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

from lading.errors import Invalid, LadingError, Unavailable

NOT_FOUND = 127
NOT_EXECUTABLE = 126
FAILED = 125

_MOST_LOG_BYTES = 256 * 1024
_CRUN_NOT_FOUND = re.compile(r"executable file `(.*?)` not found(?: in \$PATH)?(?:: .*)?")
_ERRNO = re.compile("(Permission denied|No such file or directory|Is a directory|Not a directory)$")
_CRUN_OPEN = re.compile(r"open executable: (.*)", re.IGNORECASE)


class RuntimeFailed(LadingError):
    """Raised where the runtime could not do as asked; *exit_code* is for `docker run`."""

    exit_code = FAILED


class CommandNotFound(RuntimeFailed, Invalid):
    """Raised where the command, or its directory, is not in the container."""

    exit_code = NOT_FOUND


class CommandNotExecutable(RuntimeFailed, Invalid):
    """Raised where the command is there but may not be executed."""

    exit_code = NOT_EXECUTABLE


class MountMismatch(RuntimeFailed, Invalid):
    """Raised where a directory was to be mounted onto a file, or a file onto a directory."""

    exit_code = NOT_FOUND


class MonitorFailed(RuntimeFailed, Unavailable):
    """Raised where conmon itself did not come up."""


def failure(verb: str, reason: str) -> RuntimeFailed:
    """The error for the runtime's *verb* (create, exec, start) having failed for *reason*."""
    text = f"OCI runtime {verb} failed: {_in_runc_words(reason.strip())}: unknown"
    lowered = text.lower()
    if "not a directory" in lowered:
        return MountMismatch(
            f"{text}: Are you trying to mount a directory onto a file (or vice-versa)? "
            "Check if the specified host path exists and is the expected type"
        )
    if "permission denied" in lowered or "is a directory" in lowered:
        return CommandNotExecutable(text)
    if "executable file not found" in lowered or "no such file or directory" in lowered:
        return CommandNotFound(text)
    return RuntimeFailed(text)


def last_error(log: Path) -> str | None:
    """The last error in the runtime's JSON log; None when it holds none."""
    try:
        with log.open("rb") as file:
            lines = file.read(_MOST_LOG_BYTES).splitlines()
    except FileNotFoundError:
        return None
    for line in reversed(lines):
        if message := _error_in(line):
            return message
    return None


def _error_in(line: bytes) -> str | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    if isinstance(entry, dict) and entry.get("level") in ("error", "fatal", "panic"):
        return str(entry.get("msg") or "") or None
    return None


def _in_runc_words(reason: str) -> str:
    """crun's reasons as clients know them; the docker command reads its exit code off them."""
    if match := _CRUN_NOT_FOUND.search(reason):
        return f'crun: exec: "{match[1]}": executable file not found in $PATH'
    if match := _CRUN_OPEN.search(reason):
        # It says EPERM of a directory, where execve(2) says EACCES.
        why = match[1].lower().replace("operation not permitted", "permission denied")
        return f"crun: exec: {why}"
    return _ERRNO.sub(lambda found: found[0].lower(), reason)
