"""A blob that outlives its connections, without any."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable

import pytest

from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.registry.download import Download, Incomplete
from lading.registry.message import Broken, Response
from lading.registry.patience import Patience

CONTENT = hashlib.shake_256(b"blob").digest(5000)
BLOB = Descriptor("", Digest.of(CONTENT), len(CONTENT))
PATIENCE = Patience(tries=3, pause=0, slow_bytes=100, slow_seconds=10)


class Body(io.BytesIO):
    """Bytes after which the connection breaks, if *breaks*."""

    def __init__(self, content: bytes, *, breaks: bool = False, most: int = 700) -> None:
        super().__init__(content)
        self._breaks, self._most = breaks, most

    def read(self, size: int | None = -1) -> bytes:
        piece = super().read(min(size or 0, self._most))
        if not piece and self._breaks:
            raise Broken("gone")
        return piece


def whole(content: bytes = CONTENT, **options: bool) -> Response:
    return Response(200, {}, Body(content, **options), "")


def part(
    at: int, content: bytes = CONTENT, *, told: int | None = None, **options: bool
) -> Response:
    said = f"bytes {at if told is None else told}-{len(CONTENT) - 1}/{len(CONTENT)}"
    return Response(206, {"content-range": said}, Body(content[at:], **options), "")


def download(*answers: Callable[[int], Response], patience: Patience = PATIENCE) -> Download:
    left = list(answers)
    clock = iter(range(10**6)).__next__
    return Download(
        BLOB, lambda at: left.pop(0)(at), patience, clock=clock, sleep=lambda seconds: None
    )


def test_what_comes_is_what_is_read() -> None:
    assert download(lambda at: whole()).read() == CONTENT


def test_a_broken_connection_is_taken_up_where_it_ended() -> None:
    asked: list[int] = []

    def rest(at: int) -> Response:
        asked.append(at)
        return part(at)

    assert download(lambda at: whole(CONTENT[:1234], breaks=True), rest).read() == CONTENT
    assert asked == [1234]


def test_an_early_end_is_a_broken_connection() -> None:
    assert download(lambda at: whole(CONTENT[:99]), part).read() == CONTENT


def test_a_server_without_ranges_sends_it_all_again() -> None:
    first = whole(CONTENT[:3000], breaks=True)
    assert download(lambda at: first, lambda at: whole()).read() == CONTENT


@pytest.mark.parametrize("told", [0, 1, 4999, 10**12])
def test_another_range_than_asked_for_is_not_taken(told: int) -> None:
    first = whole(CONTENT[:3000], breaks=True)
    wrong = [lambda at: part(0, told=told)] * 2
    with pytest.raises(Incomplete, match="another range"):
        download(lambda at: first, *wrong).read()
    first = whole(CONTENT[:3000], breaks=True)
    assert download(lambda at: first, wrong[0], part).read() == CONTENT


@pytest.mark.parametrize("said", ["", "bytes */5000", "bytes 3000-4999/9999", "bytes x-y/z"])
def test_a_range_that_is_none_is_not_taken(said: str) -> None:
    first = whole(CONTENT[:3000], breaks=True)
    odd = Response(206, {"content-range": said}, Body(CONTENT[3000:]), "")
    assert download(lambda at: first, lambda at: odd, part).read() == CONTENT


def test_more_bytes_than_it_has_are_refused() -> None:
    with pytest.raises(Incomplete, match="more bytes"):
        download(lambda at: whole(CONTENT + b"x")).read()


def test_a_body_without_an_end_is_left() -> None:
    class Endless(Body):
        def read(self, size: int | None = -1) -> bytes:
            return b"x" * min(size or 0, 700)

    with pytest.raises(Incomplete, match="more bytes"):
        download(lambda at: Response(200, {}, Endless(b""), "")).read()


def test_it_is_given_up_after_some_tries_without_progress() -> None:
    broken = [lambda at: whole(b"", breaks=True)] * 5
    with pytest.raises(Incomplete, match="broke off after 0 of 5000 bytes"):
        download(*broken).read()


def test_progress_renews_the_tries() -> None:
    answers = [lambda at: part(at, CONTENT[: at + 700], breaks=True) for _ in range(9)]
    assert download(lambda at: whole(CONTENT[:700], breaks=True), *answers).read() == CONTENT


def test_a_trickle_counts_as_broken() -> None:
    slow = [lambda at: Response(200, {}, Body(CONTENT, most=1), "")] * 5
    with pytest.raises(Incomplete, match="bytes in 10 seconds"):
        download(*slow).read()


def test_an_empty_blob_is_nothing() -> None:
    empty = Descriptor("", Digest.of(b""), 0)
    assert Download(empty, lambda at: whole(b""), PATIENCE).read() == b""
