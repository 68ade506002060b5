"""An fsync that goes on beside other work, and whose failure is not lost."""

from __future__ import annotations

import os
import threading


class Flush:
    """Makes a file durable while the context's body runs; its OSError is raised at the end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="flush")

    def __enter__(self) -> Flush:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *failure: object) -> None:
        self._thread.join()
        if kind is None and self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            # A second fsync would succeed: the kernel tells of an error once for each descriptor.
            self._failure = error
