"""The Docker Engine HTTP API, and lading's own verbs beside it, on a unix socket."""

from __future__ import annotations

from lading.settings import Settings


def serve(settings: Settings) -> int:
    """Run the daemon in the foreground until it is told to stop; answers its exit code."""
    from lading.api.daemon import run  # heavy: only the daemon pays for it

    return run(settings)
