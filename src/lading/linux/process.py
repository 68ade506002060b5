"""Processes that are surely the ones we mean: a PID is believed only with its start time.

Signals go through a pidfd, so that a PID that was given away meanwhile is never hit.
"""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_START_TIME = 19  # in the fields after the command's name: proc(5), /proc/pid/stat


def boot_id() -> str:
    """This boot's identifier; PIDs and start times of another boot mean nothing."""
    return _BOOT_ID.read_text().strip()


def start_time(pid: int) -> int | None:
    """When *pid* began, in clock ticks since boot; None when there is no such process."""
    stat = _stat(pid)
    return int(stat[_START_TIME]) if stat else None


def parent(pid: int) -> int | None:
    """The parent of *pid*; None when there is no such process."""
    stat = _stat(pid)
    return int(stat[1]) if stat else None


def _stat(pid: int) -> list[bytes] | None:
    """The fields of /proc/pid/stat after the name, which may hold spaces and brackets."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(b")") + 2 :].split()


@dataclass(frozen=True, slots=True)
class ProcessRef:
    """One process, for as long as this boot lasts."""

    pid: int
    start_time: int

    @classmethod
    def of(cls, pid: int) -> ProcessRef | None:
        """The process that *pid* names now; None when there is none."""
        began = start_time(pid)
        return None if began is None else cls(pid, began)

    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        stat = _stat(self.pid)
        if stat is None or stat[0] in (b"Z", b"X"):
            return False
        return int(stat[_START_TIME]) == self.start_time

    def open(self) -> int | None:
        """A pidfd that is surely this process's (the caller closes it); None when it is gone.

        It becomes readable when the process ends.
        """
        fd = pidfd_open(self.pid)
        if fd is None:
            return None
        # Looked at only now: from the pidfd on, the PID cannot pass to another process unseen.
        if start_time(self.pid) == self.start_time:
            return fd
        os.close(fd)
        return None

    def kill(self, signum: int) -> bool:
        """Send *signum*; False when the process is gone."""
        fd = self.open()
        if fd is None:
            return False
        try:
            return pidfd_send_signal(fd, signum)
        finally:
            os.close(fd)

    def wait(self, seconds: float | None) -> bool:
        """Wait until it has ended, at most *seconds*; True when it has."""
        fd = self.open()
        if fd is None:
            return True
        try:
            return has_ended(fd, seconds)
        finally:
            os.close(fd)


def pidfd_open(pid: int) -> int | None:
    """A descriptor of the process, closed on exec; None when there is no such process."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def pidfd_send_signal(pidfd: int, signum: int) -> bool:
    """Signal the process behind *pidfd*; False when it is gone."""
    try:
        signal.pidfd_send_signal(pidfd, signum)
    except ProcessLookupError:
        return False
    return True


def has_ended(pidfd: int, seconds: float | None = 0) -> bool:
    """Whether the process behind *pidfd* ends within *seconds* (None: wait for ever)."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(None if seconds is None else seconds * 1000))


def reap(pid: int) -> None:
    """Take a dead child off the process table; nothing when it lives or is not ours."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
