"""Which process limits this daemon can give: raising one above its own takes a privilege."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterable

from lading.runtime.capabilities import available
from lading.runtime.spec import Rlimit

_UNLIMITED = -1


def attainable(
    limits: Iterable[Rlimit],
    *,
    may_raise: bool | None = None,
    own: Callable[[int], tuple[int, int]] = resource.getrlimit,
) -> tuple[Rlimit, ...]:
    """*limits*, lowered to what this process may hand on; for defaults, which must never fail.

    *may_raise* says whether it has CAP_SYS_RESOURCE (None: look), *own* what its limits are.
    """
    if "CAP_SYS_RESOURCE" in available() if may_raise is None else may_raise:
        return tuple(limits)
    return tuple(_lowered(limit, own) for limit in limits)


def _lowered(limit: Rlimit, own: Callable[[int], tuple[int, int]]) -> Rlimit:
    ceiling = own(getattr(resource, f"RLIMIT_{limit.name.upper()}"))[1]
    return Rlimit(limit.name, _least(limit.soft, ceiling), _least(limit.hard, ceiling))


def _least(value: int, ceiling: int) -> int:
    if ceiling == _UNLIMITED:
        return value
    return ceiling if value < 0 else min(value, ceiling)
