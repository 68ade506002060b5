"""Frames, detach keys, and which events reach whom."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.api import stdcopy
from lading.api.detach import DetachWatch, InvalidDetachKeys, parse_keys
from lading.api.event_filter import on_the_wire, wanted
from lading.api.filters import Filters
from lading.events import Event

STARTED = Event(
    "container", "start", "c" * 64, {"name": "web", "image": "nginx:1", "a": "b"}, 1_500_000_000
)


def test_a_frame_says_stream_and_length() -> None:
    assert stdcopy.frame(stdcopy.STDERR, b"err\n") == b"\x02\0\0\0\0\0\0\x04err\n"
    assert stdcopy.frame(stdcopy.STDOUT, b"") == b""


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", b"\x10\x11"),
        ("ctrl-a", b"\x01"),
        ("a,b", b"ab"),
        ("ctrl-[,q", b"\x1bq"),
        ("ctrl-@", b"\0"),
    ],
)
def test_keys_are_read(text: str, keys: bytes) -> None:
    assert parse_keys(text) == keys


@pytest.mark.parametrize("text", ["foo", "ctrl-1", "a,,b", "é"])
def test_other_keys_are_refused(text: str) -> None:
    with pytest.raises(InvalidDetachKeys, match="Invalid detach keys"):
        parse_keys(text)


def test_keys_are_found_however_they_arrive() -> None:
    watch = DetachWatch(b"\x10\x11")
    assert watch.feed(b"ls\x10") == (b"ls", False)
    assert watch.feed(b"\x11rest") == (b"", True)


def test_half_the_keys_are_passed_on_with_what_follows() -> None:
    watch = DetachWatch(b"\x10\x11")
    assert watch.feed(b"\x10") == (b"", False)
    assert watch.feed(b"x") == (b"\x10x", False)


@given(st.lists(st.binary(max_size=6)), st.binary(min_size=1, max_size=3))
def test_what_is_typed_before_the_keys_is_passed_on_whole(pieces: list[bytes], keys: bytes) -> None:
    watch = DetachWatch(keys)
    passed, typed = b"", b"".join(pieces)
    for piece in pieces:
        more, detached = watch.feed(piece)
        passed += more
        if detached:
            assert typed.startswith(passed + keys)
            assert typed.find(keys) == len(passed)
            return
    assert keys not in typed
    assert typed.startswith(passed)
    assert keys.startswith(typed[len(passed) :])


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"type": ["container"]},
        {"event": ["start", "die"]},
        {"container": ["web"]},
        {"container": ["cccc"]},
        {"image": ["nginx"]},
        {"image": ["nginx:1"]},
        {"label": ["a=b"]},
        {"scope": ["local"]},
        {"type": ["container"], "event": ["start"]},
    ],
)
def test_an_event_that_is_asked_for_comes(filters: dict[str, list[str]]) -> None:
    assert wanted(STARTED, Filters(filters))


@pytest.mark.parametrize(
    "filters",
    [
        {"type": ["image"]},
        {"event": ["die"]},
        {"container": ["db"]},
        {"image": ["redis"]},
        {"label": ["a=c"]},
        {"scope": ["swarm"]},
        {"volume": ["v"]},
        {"daemon": ["x"]},
    ],
)
def test_other_events_stay_away(filters: dict[str, list[str]]) -> None:
    assert not wanted(STARTED, Filters(filters))


def test_an_exec_is_asked_for_by_its_verb() -> None:
    event = Event("container", "exec_start: sh -c true", "c" * 64)
    assert wanted(event, Filters({"event": ["exec_start"]}))


def test_a_container_event_has_the_old_fields_too() -> None:
    assert on_the_wire(STARTED) == {
        "status": "start",
        "id": "c" * 64,
        "from": "nginx:1",
        "Type": "container",
        "Action": "start",
        "Actor": {"ID": "c" * 64, "Attributes": STARTED.attributes},
        "scope": "local",
        "time": 1,
        "timeNano": 1_500_000_000,
    }


def test_a_volume_event_has_not() -> None:
    assert set(on_the_wire(Event("volume", "create", "v"))) == {
        "Type",
        "Action",
        "Actor",
        "scope",
        "time",
        "timeNano",
    }
