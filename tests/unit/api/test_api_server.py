"""The edge itself, over a real unix socket: routing, bodies, streams, hijacked connections."""

from __future__ import annotations

import asyncio
import errno
import gc
import hashlib
import json
import logging
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec
import pytest
from aiohttp import web

from lading.api import replies
from lading.api.body import MOST_BYTES, read_json
from lading.api.call import Call, Edge
from lading.api.hijack import Connection, TakenOver, hold_input, take_over
from lading.api.inflow import body_of
from lading.api.lines import Emit, stream_lines
from lading.api.outflow import stream_from_thread
from lading.api.router import Route
from lading.api.server import make_server
from lading.api.threads import Threads
from lading.errors import Conflict, Corrupt, Denied, NotFound, Unavailable, Unsupported

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[Any]]


class Wanted(msgspec.Struct):
    name: str
    count: int = 0


async def named(call: Call) -> web.StreamResponse:
    return replies.json({"name": call.params["name"], "version": str(call.version)})


async def body(call: Call) -> web.StreamResponse:
    wanted = await read_json(call.request, Wanted)
    return replies.json({"name": wanted.name})


async def fails(call: Call) -> web.StreamResponse:
    kinds = {"c": Conflict, "d": Denied, "n": NotFound, "u": Unsupported, "a": Unavailable}
    if call.params["kind"] == "f":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    raise kinds.get(call.params["kind"], RuntimeError)("it is \udcff so")


async def upload(call: Call) -> web.StreamResponse:
    async with body_of(call.request) as content:
        digest = await call.threads.long(_hash, content)
    return replies.json({"digest": digest})


async def refuses_upload(call: Call) -> web.StreamResponse:
    async with body_of(call.request) as content:
        await call.threads.long(content.read, 10)
        raise Conflict("not this one")


def _hash(content: BinaryIO) -> str:
    sha256 = hashlib.sha256()
    while piece := content.read(100_000):
        sha256.update(piece)
    return sha256.hexdigest()


async def download(call: Call) -> web.StreamResponse:
    def write(out: BinaryIO) -> None:
        if call.query.flag("early"):
            raise NotFound("no such thing")
        for number in range(200):
            out.write(bytes([number]) * (10_000 + number * 100))
        if call.query.flag("late"):
            raise Corrupt("broken")

    return await stream_from_thread(call, write, "application/x-tar")


async def progress(call: Call) -> web.StreamResponse:
    def work(emit: Emit) -> None:
        if call.query.flag("early"):
            raise NotFound("no such thing")
        emit({"status": "begin"})
        for number in range(1001):
            emit({"id": "bar", "progressDetail": {"current": number, "total": 1000}})
        if call.query.flag("late"):
            raise Corrupt("broken")
        emit({"stream": "done"})

    return await stream_lines(call, work)


async def counted(call: Call) -> web.StreamResponse:
    async with body_of(call.request) as content:
        return await stream_lines(call, lambda emit: emit({"bytes": len(content.read())}))


class Echo:
    """Sends back what it is sent, and a farewell when the input ends."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.over = asyncio.get_running_loop().create_future()
        connection.join(self)

    def received(self, piece: bytes) -> None:
        self.connection.transport.write(piece.upper())

    def input_ended(self) -> None:
        self.connection.transport.write(b"bye")
        self.over.set_result(None)

    def gone(self) -> None:
        pass

    def hold(self) -> None:
        pass

    def resume(self) -> None:
        pass


async def echo(call: Call) -> web.StreamResponse:
    await read_json(call.request, dict[str, Any], default={})
    hold_input(call)
    await asyncio.sleep(0.02)
    await Echo(take_over(call, multiplexed=True)).over
    return TakenOver()


CANCELLED = threading.Event()


async def waits(call: Call) -> web.StreamResponse:
    try:
        await call.begin("text/plain")
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        CANCELLED.set()
        raise
    return replies.empty()


ROUTES = (
    Route("GET", "/things/{name...}/json", named),
    Route("POST", "/body", body),
    Route("GET", "/fail/{kind}", fails),
    Route("POST", "/upload", upload),
    Route("POST", "/refused", refuses_upload),
    Route("GET", "/download", download),
    Route("GET", "/progress", progress),
    Route("POST", "/counted", counted),
    Route("POST", "/echo", echo),
    Route("GET", "/waits", waits),
)


def talk(tmp_path: Path, conversation: Talk) -> Any:
    async def main() -> Any:
        threads = Threads()
        nothing = cast(Any, None)
        loop = asyncio.get_running_loop()
        edge = Edge(nothing, threads, nothing, nothing, loop, lambda: None)
        server = make_server(edge, ROUTES)
        path = str(tmp_path / "s")
        acceptor = await asyncio.get_running_loop().create_unix_server(server, path)
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            async with asyncio.timeout(20):
                return await conversation(reader, writer)
        finally:
            writer.close()
            acceptor.close()
            await server.shutdown(1)
            threads.close()

    return asyncio.run(main())


def request(line: str, content: bytes = b"", *headers: str) -> bytes:
    head = [f"{line} HTTP/1.1", "Host: d", *headers]
    if content:
        head.append(f"Content-Length: {len(content)}")
    return "\r\n".join([*head, "", ""]).encode() + content


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:-2])}
    content = b""
    if headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            content += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    elif "content-length" in headers:
        content = await reader.readexactly(int(headers["content-length"]))
    return int(head[0].split()[1]), headers, content


def ask(tmp_path: Path, *requests: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    async def conversation(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> list[tuple[int, dict[str, str], bytes]]:
        answers = []
        for each in requests:
            writer.write(each)
            answers.append(await answer(reader))
        return answers

    return cast(Any, talk(tmp_path, conversation))


JSON = "Content-Type: application/json"


@pytest.mark.parametrize(
    ("path", "name", "version"),
    [
        ("/things/a/json", "a", "1.50"),
        ("/v1.41/things/a%2Fb/c:1/json?x=y", "a/b/c:1", "1.41"),
        ("/v1.24/things/%E2%82%AC%FF/json", "€\ufffd", "1.24"),
    ],
)
def test_a_path_finds_its_handler(tmp_path: Path, path: str, name: str, version: str) -> None:
    [(status, headers, content)] = ask(tmp_path, request(f"GET {path}"))
    assert (status, json.loads(content)) == (200, {"name": name, "version": version})
    assert headers["api-version"] == "1.50"
    assert headers["ostype"] == "linux"
    assert headers["server"].startswith("Lading/")


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("GET /nope", 404, "page not found"),
        ("PUT /body", 404, "page not found"),
        ("GET /v1.51/things/a/json", 400, "too new"),
        ("GET /v1.23/things/a/json", 400, "too old"),
        ("GET //things/a/json", 404, "page not found"),
        ("GET /things/../../etc/passwd", 404, "page not found"),
        ("GET /fail/c", 409, "it is"),
        ("GET /fail/d", 403, "it is"),
        ("GET /fail/n", 404, "it is"),
        ("GET /fail/u", 501, "it is"),
        ("GET /fail/a", 503, "it is"),
        ("GET /fail/x", 500, "internal error"),
        ("GET /fail/f", 500, "no space left on device (lading system df"),
        ("GET /body?" + "&".join(f"a{n}=" for n in range(2000)), 400, "bad query"),
    ],
)
def test_an_error_has_dockers_shape(tmp_path: Path, line: str, status: int, words: str) -> None:
    [(got, headers, content)] = ask(tmp_path, request(line))
    assert got == status
    assert headers["content-type"] == "application/json"
    assert words in json.loads(content)["message"]


@pytest.mark.parametrize(
    ("content", "header", "status", "words"),
    [
        (b'{"name":"x"}', JSON, 200, "x"),
        (b'{"name":"x","other":[1]}', JSON + "; charset=utf-8", 200, "x"),
        (b"", JSON, 400, "got EOF while reading request body"),
        (b"null", JSON, 400, "got EOF"),
        (b"{", JSON, 400, "invalid JSON"),
        (b"[]", JSON, 400, "invalid JSON"),
        (b'{"name":5}', JSON, 400, "invalid JSON"),
        (b'{"name":"x"} x', JSON, 400, "invalid JSON"),
        (b'{"name":"\xff"}', JSON, 400, "invalid JSON"),
        (b'{"other":' + b"[" * 200_000, JSON, 400, "invalid JSON"),
        (b'{"name":"x"}', "Content-Type: text/plain", 400, "must be 'application/json'"),
        (b'{"name":"x"}', "X: y", 400, "must be 'application/json'"),
        (b'{"name":"' + b"x" * MOST_BYTES + b'"}', JSON, 413, "too large"),
    ],
)
def test_a_body_is_read_strictly(
    tmp_path: Path, content: bytes, header: str, status: int, words: str
) -> None:
    [(got, _, told)] = ask(tmp_path, request("POST /body", content, header))
    assert got == status
    assert words in told.decode()


def test_a_body_is_cut_off_where_it_is_too_large_though_nobody_said_so(tmp_path: Path) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    head = request("POST /body", b"", JSON, "Transfer-Encoding: chunked")
    [(status, _, _)] = ask(tmp_path, head + chunk * 100 + b"0\r\n\r\n")
    assert status == 413


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_reaches_a_thread_whole(tmp_path: Path, chunked: bool) -> None:
    content = bytes(range(256)) * 50_000
    if chunked:
        pieces = [content[n : n + 33_333] for n in range(0, len(content), 33_333)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"
        sent = request("POST /upload", b"", "Transfer-Encoding: chunked") + body
    else:
        sent = request("POST /upload", content)
    answers = ask(tmp_path, sent, request("GET /things/a/json"))
    assert json.loads(answers[0][2]) == {"digest": hashlib.sha256(content).hexdigest()}
    assert answers[1][0] == 200


def test_a_refused_upload_is_answered(tmp_path: Path) -> None:
    [(status, _, content)] = ask(tmp_path, request("POST /refused", bytes(5_000_000)))
    assert (status, json.loads(content)) == (409, {"message": "not this one"})


def test_what_a_thread_writes_arrives_whole(tmp_path: Path) -> None:
    expected = b"".join(bytes([n]) * (10_000 + n * 100) for n in range(200))
    answers = ask(tmp_path, request("GET /download"), request("GET /things/a/json"))
    assert answers[0][2] == expected
    assert answers[0][1]["content-type"] == "application/x-tar"
    assert answers[1][0] == 200


def test_a_download_that_fails_at_once_is_an_error(tmp_path: Path) -> None:
    [(status, _, content)] = ask(tmp_path, request("GET /download?early=1"))
    assert (status, json.loads(content)) == (404, {"message": "no such thing"})


def test_a_download_that_fails_later_is_broken_off(tmp_path: Path) -> None:
    async def conversation(r: asyncio.StreamReader, w: asyncio.StreamWriter) -> bytes:
        w.write(request("GET /download?late=1"))
        try:
            return await r.read(-1)
        except ConnectionError:
            return b""

    assert not talk(tmp_path, conversation).endswith(b"0\r\n\r\n")


def test_progress_comes_as_lines_and_ends_with_the_last_state(tmp_path: Path) -> None:
    [(status, headers, content)] = ask(tmp_path, request("GET /progress"))
    lines = [json.loads(line) for line in content.splitlines()]
    assert (status, headers["content-type"]) == (200, "application/json")
    assert lines[0] == {"status": "begin"}
    assert lines[-2] == {"id": "bar", "progressDetail": {"current": 1000, "total": 1000}}
    assert lines[-1] == {"stream": "done"}
    assert len(lines) < 20


def test_a_job_that_fails_at_once_fails_the_request(tmp_path: Path) -> None:
    [(status, _, content)] = ask(tmp_path, request("GET /progress?early=1"))
    assert (status, json.loads(content)) == (404, {"message": "no such thing"})


def test_a_client_that_goes_in_mid_job_is_one_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def conversation(r: asyncio.StreamReader, w: asyncio.StreamWriter) -> None:
        w.write(b"POST /counted HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
        await asyncio.sleep(0.1)
        w.close()
        while "ended without its client" not in caplog.text:
            await asyncio.sleep(0.01)
        gc.collect()  # asyncio complains of a lost exception when it is deleted

    with caplog.at_level(logging.INFO):
        talk(tmp_path, conversation)
    assert "client went away" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_job_that_fails_later_says_so_in_its_last_line(tmp_path: Path) -> None:
    [(status, _, content)] = ask(tmp_path, request("GET /progress?late=1"))
    last = json.loads(content.splitlines()[-1])
    assert status == 200
    assert last == {"errorDetail": {"message": "broken", "code": 500}, "error": "broken"}


@pytest.mark.parametrize(
    ("headers", "head"),
    [
        (
            ("Connection: Upgrade", "Upgrade: tcp"),
            b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n"
            b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
        ),
        ((), b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"),
    ],
)
@pytest.mark.parametrize("content", [b"", b'{"Detach":false}'])
def test_a_connection_taken_over_talks_both_ways_and_half_closes(
    tmp_path: Path, headers: tuple[str, ...], head: bytes, content: bytes
) -> None:
    async def conversation(r: asyncio.StreamReader, w: asyncio.StreamWriter) -> bytes:
        kind = (JSON,) if content else ()
        w.write(request("POST /echo", content, *kind, *headers))
        assert await r.readuntil(b"\r\n\r\n") == head
        w.write(b"hello")
        assert await r.readexactly(5) == b"HELLO"
        w.write(b"x" * 1_000_000)
        w.write_eof()
        return await r.read(-1)

    assert talk(tmp_path, conversation) == b"X" * 1_000_000 + b"bye"


def test_a_handler_ends_when_its_client_goes(tmp_path: Path) -> None:
    async def conversation(r: asyncio.StreamReader, w: asyncio.StreamWriter) -> None:
        w.write(request("GET /waits"))
        await r.readuntil(b"\r\n\r\n")
        w.transport.abort()
        for _ in range(100):
            if CANCELLED.is_set():
                return
            await asyncio.sleep(0.02)

    CANCELLED.clear()
    talk(tmp_path, conversation)
    assert CANCELLED.is_set()


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"GET /things/a/json HTTP/1.1\r\nHost: d\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n",
        b"POST /body HTTP/1.1\r\nHost: d\r\nContent-Length: -5\r\n\r\n",
        b"POST /body HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"POST /body HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_garbage_is_refused_and_the_next_client_served(tmp_path: Path, garbage: bytes) -> None:
    async def conversation(r: asyncio.StreamReader, w: asyncio.StreamWriter) -> int:
        w.write(garbage)
        first = await r.readline()
        assert b" 400 " in first or b" 413 " in first or first == b""
        other, sender = await asyncio.open_unix_connection(str(tmp_path / "s"))
        sender.write(request("GET /things/a/json"))
        status, _, _ = await answer(other)
        sender.close()
        return status

    assert talk(tmp_path, conversation) == 200
