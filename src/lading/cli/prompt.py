"""Ask before what cannot be undone."""

from __future__ import annotations

import sys


def confirmed(warning: str) -> bool:
    """Show *warning* and ask; only a clear yes is one, and silence is none."""
    print(f"{warning}\nAre you sure you want to continue? [y/N] ", end="", flush=True)
    try:
        answer = sys.stdin.readline()
    except (OSError, ValueError):
        answer = ""
    if not answer.endswith("\n"):
        print()
    return answer.strip().lower() in ("y", "yes")
