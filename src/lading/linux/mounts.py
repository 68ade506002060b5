"""Mounts as values, and the one place that performs them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mount:
    """What to mount; where is the performer's business.

    *options* are the kernel's own words, mount(2) flags ("ro", "nosuid", "bind")
    among them; an overlay's layers are options too.
    """

    type: str
    source: str
    options: tuple[str, ...] = ()
