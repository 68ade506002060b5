"""Sandboxes are kept whole for the next engine, and a bad one keeps no other away."""

from __future__ import annotations

from pathlib import Path

import pytest

from lading.network.sandboxes import Sandboxes
from lading.network.values import Endpoint, PortBinding, Sandbox

SANDBOX = Sandbox(
    "c" * 64,
    "web",
    "bridge",
    netns="/run/lading/netns/1",
    endpoints=(Endpoint("e" * 64, "n" * 64, "bridge", address="172.17.0.2"),),
    ports=(PortBinding(80, "tcp", "0.0.0.0", 8080),),
)


@pytest.fixture
def sandboxes(tmp_path: Path) -> Sandboxes:
    return Sandboxes(tmp_path / "sandboxes")


def test_what_is_put_is_found_whole(sandboxes: Sandboxes) -> None:
    assert sandboxes.all() == []
    sandboxes.put(SANDBOX)
    assert sandboxes.all() == [SANDBOX]


def test_what_is_removed_is_gone(sandboxes: Sandboxes) -> None:
    sandboxes.put(SANDBOX)
    sandboxes.remove(SANDBOX.container_id)
    sandboxes.remove(SANDBOX.container_id)
    assert sandboxes.all() == []


def test_a_damaged_one_is_dropped_and_told(
    sandboxes: Sandboxes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sandboxes.put(SANDBOX)
    damaged = tmp_path / "sandboxes" / "bad.json"
    damaged.write_text('{"container_id": 7')
    assert sandboxes.all() == [SANDBOX]
    assert "bad.json" in caplog.text
    assert not damaged.exists()


def test_what_was_cut_off_while_written_is_not_believed(
    sandboxes: Sandboxes, tmp_path: Path
) -> None:
    sandboxes.put(SANDBOX)
    (tmp_path / "sandboxes" / "half.new").write_text("{")
    assert sandboxes.all() == [SANDBOX]


def test_cleared_nothing_is_left(sandboxes: Sandboxes, tmp_path: Path) -> None:
    sandboxes.put(SANDBOX)
    sandboxes.clear()
    sandboxes.clear()
    assert list(tmp_path.iterdir()) == []
