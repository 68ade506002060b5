"""How a command fails: what is said on stderr, and the exit code.

The codes are Docker's: 125 when the command line or the engine is at fault, 126 and 127
when the container's program cannot be run, 1 for the rest.
"""

from __future__ import annotations

from lading.errors import LadingError

USAGE = 125
INTERRUPTED = 130


class Fault(LadingError):
    """Ends the command: *message* (nothing, when empty) goes to stderr."""

    def __init__(self, message: str = "", code: int = 1) -> None:
        super().__init__(message)
        self.code = code


class Misuse(Fault):
    """The command line is wrong; the user is pointed to the command's help."""

    def __init__(self, message: str, code: int = USAGE) -> None:
        super().__init__(message, code)


class Unreachable(Fault):
    """No daemon answers."""


class Refused(Fault):
    """The daemon answered with an error; *status* is HTTP's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status
