"""lading's command line: a thin client over the engine's HTTP API, and ``lading daemon``."""

from __future__ import annotations

from lading.cli.entry import main

__all__ = ["main"]
