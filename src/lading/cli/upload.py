"""Send a large body to the engine while its answer already comes.

The body is written by a thread; the answer is the caller's to read.  Whichever side fails
first is the one that is told of.
"""

from __future__ import annotations

import threading
from _socket import SHUT_RDWR
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from lading.cli.client import Client, Query
from lading.cli.http import Connection, Lost, Response

Write = Callable[[bytes], None]


class Body:
    """What is to be sent.

    *write* gives its argument every piece; *length* is what they make together, None where
    nobody can know; *expected* is what a progress bar may believe, 0 for nothing.
    """

    __slots__ = ("expected", "length", "write")

    def __init__(
        self, write: Callable[[Write], None], *, length: int | None = None, expected: int = 0
    ) -> None:
        self.write = write
        self.length = length
        self.expected = length or expected


@contextmanager
def posted(
    client: Client,
    path: str,
    query: Query,
    body: Body,
    *,
    on_sent: Callable[[int], None],
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
) -> Iterator[Response]:
    """POST *body*, or PUT it: the answer, which may begin before all is sent.

    *on_sent* learns from the sending thread how many bytes went.  An error in reading the
    body is raised in place of the broken connection that comes of it.
    """
    headers = {"Content-Type": "application/x-tar", **(headers or {})}
    if body.length is None:
        headers["Transfer-Encoding"] = "chunked"
    else:
        headers["Content-Length"] = str(body.length)
    connection = client.send(method, path, query, headers)
    sender = _Sender(connection, body, on_sent)
    sender.start()
    try:
        yield client.answer(connection, method)
    except Lost:
        if sender.failure is not None:
            raise sender.failure from None
        raise
    finally:
        connection.close()


class _Sender(threading.Thread):
    """Writes the body; *failure* is why it could not be read to its end."""

    def __init__(self, connection: Connection, body: Body, on_sent: Callable[[int], None]) -> None:
        super().__init__(name="upload", daemon=True)
        self.failure: Exception | None = None
        self._connection = connection
        self._body = body
        self._on_sent = on_sent

    def run(self) -> None:
        try:
            self._body.write(self._plain if self._body.length is not None else self._chunk)
            if self._body.length is None:
                self._connection.send(b"0\r\n\r\n")
        except Lost:
            pass  # the engine has heard enough; its answer says why
        except Exception as error:
            self.failure = error
            _break_off(self._connection)

    def _plain(self, piece: bytes) -> None:
        self._connection.send(piece)
        self._on_sent(len(piece))

    def _chunk(self, piece: bytes) -> None:
        if piece:
            self._connection.send(b"%x\r\n" % len(piece))
            self._connection.send(piece)
            self._connection.send(b"\r\n")
            self._on_sent(len(piece))


def _break_off(connection: Connection) -> None:
    """Wake whoever reads the answer: it will not come."""
    try:
        connection.socket.shutdown(SHUT_RDWR)
    except OSError:
        pass  # it is gone already
