"""Blobs on other machines: how they are read, and what is checked before one is sent."""

from __future__ import annotations

import io
import os

import pytest

from lading.backup.far import FarBlob, checked
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.store.blobs import UnexpectedContent

CONTENT = os.urandom(20 * 1024 * 1024)


class Server:
    """Counts what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def __call__(self, at: int, length: int) -> bytes:
        self.asked.append((at, length))
        return CONTENT[at : at + length]


class TestFarBlob:
    def test_the_end_costs_one_small_request(self) -> None:
        server = Server()
        blob = FarBlob(len(CONTENT), server)
        blob.seek(-4, os.SEEK_END)
        assert blob.read(4) == CONTENT[-4:]
        assert server.asked == [(len(CONTENT) - 4, 4)]

    def test_whoever_reads_on_is_read_ahead_for(self) -> None:
        server = Server()
        blob = FarBlob(len(CONTENT), server)
        pieces = list(iter(lambda: blob.read(256 * 1024), b""))
        assert b"".join(pieces) == CONTENT
        assert len(server.asked) < 12
        assert max(length for _, length in server.asked) <= 8 * 1024 * 1024

    def test_a_server_that_stops_early_ends_the_stream(self) -> None:
        blob = FarBlob(100, lambda at, length: CONTENT[at : min(at + length, 60)])
        assert blob.read() == CONTENT[:60]

    def test_what_lies_in_what_was_read_is_not_asked_for_again(self) -> None:
        server = Server()
        blob = FarBlob(len(CONTENT), server)
        blob.read(10)
        blob.seek(5)
        assert blob.read(1000) == CONTENT[5:1005]
        assert len(server.asked) == 1


class TestChecked:
    @pytest.mark.parametrize("wrong", [CONTENT[:-1], CONTENT + b"x", b"", b"y" + CONTENT[1:]])
    def test_other_bytes_are_not_passed_on(self, wrong: bytes) -> None:
        descriptor = Descriptor("x", Digest.of(CONTENT), len(CONTENT))
        with pytest.raises(UnexpectedContent), checked(io.BytesIO(wrong), descriptor):
            raise AssertionError("it was passed on")

    def test_what_is_read_from_afar_comes_once(self) -> None:
        descriptor, server = Descriptor("x", Digest.of(CONTENT), len(CONTENT)), Server()
        with checked(FarBlob(len(CONTENT), server), descriptor) as stream:  # type: ignore[arg-type]  # as places give it
            assert stream.read() == CONTENT
        assert sum(length for _, length in server.asked) == len(CONTENT)
