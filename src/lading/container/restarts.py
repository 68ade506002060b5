"""Whether and when a container that ended is started again (pure)."""

from __future__ import annotations

from lading.container.options import RestartPolicy

_FIRST = 0.1  # seconds
_LONGEST = 60.0
_STEADY = 10.0  # who has run so long begins anew with the short pause


def wanted(policy: RestartPolicy, *, exit_code: int, restarts: int, by_user: bool) -> bool:
    """Whether a container that ended with *exit_code* is to run again.

    *by_user*: it was told to stop, which every policy respects until the engine starts anew.
    """
    if by_user:
        return False
    if policy.name in ("always", "unless-stopped"):
        return True
    most = policy.maximum_retry_count
    return policy.name == "on-failure" and exit_code != 0 and (not most or restarts < most)


def wanted_at_open(policy: RestartPolicy, *, exit_code: int, restarts: int, by_user: bool) -> bool:
    """The same when the engine has just come up: ``always`` forgives that it was stopped."""
    forgiven = policy.name == "always"
    return wanted(policy, exit_code=exit_code, restarts=restarts, by_user=by_user and not forgiven)


def pause(previous: float, ran_for: float) -> float:
    """Seconds to wait: 100 ms, doubled each time up to a minute."""
    if not previous or ran_for >= _STEADY:
        return _FIRST
    return min(previous * 2, _LONGEST)
