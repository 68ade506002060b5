"""lading's own command against the shared daemon."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cli_story import Story
from engine_daemon import Daemon


@pytest.fixture
def lading(daemon: Daemon) -> Iterator[Story]:
    """Run commands: ``lading("ps", "-a")``; afterwards only the image busybox is there."""
    story = Story(daemon)
    yield story
    story.tidy()
