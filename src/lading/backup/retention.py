"""Which backups stay: the newest of each hour, day, week, month and year (pure)."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from lading.backup.bill import Bill
from lading.errors import Invalid

_PERIODS: Mapping[str, str] = {
    "hourly": "%Y-%m-%d %H",
    "daily": "%Y-%m-%d",
    "weekly": "%G-%V",
    "monthly": "%Y-%m",
    "yearly": "%Y",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How many to keep of each kind, for each container; times are UTC."""

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0

    def check(self) -> None:
        """Invalid for a policy that keeps nothing, or less."""
        numbers = [getattr(self, name) for name in ("last", *_PERIODS)]
        if min(numbers) < 0:
            raise Invalid("a number of backups to keep cannot be negative")
        if not any(numbers):
            raise Invalid("no backups would be kept: say how many, with --keep-last and the like")


def kept(bills: Iterable[Bill], policy: Policy) -> dict[str, list[str]]:
    """Why each backup stays, by its tag; those that are not in it may go."""
    policy.check()
    groups: defaultdict[str, list[Bill]] = defaultdict(list)
    for bill in bills:
        groups[bill.container.name].append(bill)
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for group in groups.values():
        newest_first = sorted(group, key=lambda bill: (bill.created, bill.ref), reverse=True)
        for bill in newest_first[: policy.last]:
            reasons[bill.ref].append("last")
        for name, pattern in _PERIODS.items():
            for bill in _newest(newest_first, getattr(policy, name), _period(pattern)):
                reasons[bill.ref].append(name)
    return dict(reasons)


def _newest(bills: Iterable[Bill], count: int, period: Callable[[Bill], str]) -> Iterable[Bill]:
    """The newest of each of the latest *count* periods that have any."""
    found: dict[str, Bill] = {}
    for bill in bills:
        if period(bill) not in found:
            if len(found) == count:
                break
            found[period(bill)] = bill
    return found.values()


def _period(pattern: str) -> Callable[[Bill], str]:
    return lambda bill: time.strftime(pattern, time.gmtime(bill.created // 1_000_000_000))
