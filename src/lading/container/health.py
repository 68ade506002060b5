"""Whether a container is well: what its checks have told, and what follows from one more (pure).

The rules are Docker's.  Times are nanoseconds, moments count from 1970.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from lading.container.options import Config, Healthcheck
from lading.errors import Invalid

STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"
MOST_OUTPUT = 4096  # bytes of one check's output that are kept
_MOST_RESULTS = 5
_MILLISECOND = 1_000_000
_SECOND = 1000 * _MILLISECOND
_SHELL = ("/bin/sh", "-c")
_TIMES = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start_period": "StartPeriod",
    "start_interval": "StartInterval",
}


class BadHealthcheck(Invalid):
    """Raised for a check that cannot be made, in Docker's words."""


class Result(msgspec.Struct, frozen=True):
    """What one check told."""

    started_at: int
    ended_at: int
    exit_code: int  # -1 where it was cut off, or did not begin
    output: str = ""


class Health(msgspec.Struct, frozen=True):
    """What all checks of this run told; *log* has the latest, oldest first."""

    status: str = STARTING
    failing_streak: int = 0
    log: tuple[Result, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """A health check, its defaults filled in."""

    argv: tuple[str, ...]
    interval: int
    timeout: int
    start_period: int
    start_interval: int
    retries: int

    def pause(self, health: Health, age: int) -> int:
        """How long to wait for the next check of a container that has run for *age*."""
        starting = health.status == STARTING and age < self.start_period
        return self.start_interval if starting else self.interval


def check_of(config: Config) -> Check | None:
    """The check that the container asks for; None where it asks for none."""
    asked = config.healthcheck
    kind, *words = (asked.test if asked else None) or ["NONE"]
    if asked is None or kind not in ("CMD", "CMD-SHELL"):
        return None
    shell = config.shell or _SHELL
    return Check(
        argv=(*shell, *words) if kind == "CMD-SHELL" else tuple(words),
        interval=asked.interval or 30 * _SECOND,
        timeout=asked.timeout or 30 * _SECOND,
        start_period=asked.start_period,
        start_interval=asked.start_interval or 5 * _SECOND,
        retries=asked.retries or 3,
    )


def verify(asked: Healthcheck) -> None:
    """Raise BadHealthcheck for times and counts that cannot be."""
    for field, name in _TIMES.items():
        value = getattr(asked, field)
        if value != 0 and value < _MILLISECOND:
            raise BadHealthcheck(f"{name} in Healthcheck cannot be less than 1ms")
    if asked.retries < 0:
        raise BadHealthcheck("Retries in Healthcheck cannot be negative")


def merged(asked: Healthcheck | None, image: Healthcheck | None) -> Healthcheck | None:
    """*asked*, where what it leaves open is as the *image* says."""
    if asked is None or image is None:
        return asked or image
    fields = Healthcheck.__struct_fields__
    return Healthcheck(**{name: getattr(asked, name) or getattr(image, name) for name in fields})


def at_start(config: Config) -> Health | None:
    """How well a container is that begins to run; None: nobody looks."""
    return Health() if check_of(config) else None


def unwatched(health: Health | None) -> Health | None:
    """The same when nobody looks any more: Docker calls that unhealthy."""
    return msgspec.structs.replace(health, status=UNHEALTHY) if health else None


def after(health: Health, result: Result, check: Check, started_at: int) -> Health:
    """*health* after one more result, in a run that began at *started_at*."""
    log = (*health.log, result)[-_MOST_RESULTS:]
    if result.exit_code == 0:
        return Health(HEALTHY, 0, log)
    early = result.started_at - started_at < check.start_period
    if health.status == STARTING and early:
        return msgspec.structs.replace(health, log=log)
    streak = health.failing_streak + 1
    status = UNHEALTHY if streak >= check.retries else health.status
    return Health(status, streak, log)


def duration(nanoseconds: int) -> str:
    """A time as Go writes it: ``1m30s``, ``500ms``."""
    minutes, rest = divmod(nanoseconds, 60 * _SECOND)
    hours, minutes = divmod(minutes, 60)
    if not hours and not minutes and 0 < rest < _SECOND:
        return f"{rest / _MILLISECOND:g}ms"
    long = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{long}{rest / _SECOND:g}s"


def words(health: Health) -> str:
    """As ``docker ps`` has it behind the uptime."""
    return f"health: {health.status}" if health.status == STARTING else health.status
