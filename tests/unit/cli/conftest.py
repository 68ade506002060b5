"""Commands run in this process, against an engine that gives canned answers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from canned_engine import CannedEngine
from command_line import Ended, Lading
from lading.cli import main


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[CannedEngine]:
    with CannedEngine(tmp_path / "engine.sock") as canned:
        yield canned


@pytest.fixture
def lading(
    engine: CannedEngine, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> Lading:
    """Run one command line; its exit code and what it printed."""
    monkeypatch.setenv("LADING_HOST", engine.host)
    monkeypatch.delenv("LADING_DEBUG", raising=False)

    def run(*words: str) -> Ended:
        code = main(list(words), serve=lambda settings: 0)
        sys.stdout.flush()
        sys.stderr.flush()
        out, err = capfdbinary.readouterr()
        return Ended(code, out.decode(errors="surrogateescape"), err.decode())

    return run
