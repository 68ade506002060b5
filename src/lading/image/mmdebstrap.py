"""A Debian root file system from Debian's archive, as the tar that mmdebstrap writes."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, BinaryIO

from lading.errors import Invalid, Unavailable
from lading.image.streams import buffered

Said = Callable[[str], None]

_SUITE = re.compile(r"[a-z][a-z0-9]*(?:[-.][a-z0-9]+)*")
_PROGRAM = "mmdebstrap"
_MOST_WORDS = 3  # errors told when it has failed


class InvalidSuite(Invalid):
    """Raised for text that cannot name a release of Debian."""

    def __init__(self, suite: str) -> None:
        super().__init__(f"invalid suite: {suite[:80]!r}")


class NoMmdebstrap(Unavailable):
    """Raised where the program is not installed."""

    def __init__(self) -> None:
        super().__init__(f"no {_PROGRAM} here: install it with `apt-get install {_PROGRAM}`")


class MmdebstrapFailed(Unavailable):
    """Raised at the end of a tar that is not complete; Debian's archive may be out of reach."""

    def __init__(self, suite: str, words: str) -> None:
        super().__init__(f"{_PROGRAM} {suite} failed: {words or 'it said nothing'}")


def check_suite(suite: str) -> str:
    """*suite* if it can name a release; InvalidSuite."""
    if not _SUITE.fullmatch(suite):
        raise InvalidSuite(suite)
    return suite


@contextmanager
def tar_of(suite: str, said: Said) -> Iterator[BinaryIO]:
    """The tar of a minimal *suite*; *said* gets every line of what is being done.

    NoMmdebstrap, InvalidSuite; reading its end raises MmdebstrapFailed.
    """
    program = shutil.which(_PROGRAM)
    if program is None:
        raise NoMmdebstrap
    command = (program, "--variant=minbase", "--format=tar", check_suite(suite), "-")
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    words: deque[str] = deque(maxlen=_MOST_WORDS)
    assert process.stdout is not None and process.stderr is not None
    teller = threading.Thread(
        target=_tell, args=(process.stderr, said, words), name=_PROGRAM, daemon=True
    )
    teller.start()
    try:
        yield buffered(_Output(process, process.stdout, teller, lambda: _failed(suite, words)))
    finally:
        process.stdout.close()
        process.terminate()  # it removes what it has laid out
        process.wait()
        teller.join()
        process.stderr.close()


def _failed(suite: str, words: deque[str]) -> MmdebstrapFailed:
    return MmdebstrapFailed(suite, "; ".join(words)[:500])


def _tell(stream: IO[bytes], said: Said, words: deque[str]) -> None:
    for raw in stream:
        line = raw.decode(errors="replace").strip()
        if line.startswith("E:"):
            words.append(line.removeprefix("E:").strip())
        if line:
            said(line.removeprefix("I: "))


class _Output(io.RawIOBase):
    """What the program writes; its end counts only when the program was content."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        stream: IO[bytes],
        teller: threading.Thread,
        failure: Callable[[], MmdebstrapFailed],
    ) -> None:
        self._process, self._stream = process, stream
        self._teller, self._failure = teller, failure

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        piece = self._stream.read(len(view))
        view[: len(piece)] = piece
        if not piece and self._process.wait() != 0:
            self._teller.join()
            raise self._failure()
        return len(piece)
