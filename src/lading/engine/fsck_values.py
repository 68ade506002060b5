"""What is found when a root is looked over: values alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum


class Gravity(Enum):
    """What a finding means for the user."""

    DAMAGE = "damage"  # something is lost, or will be missed
    LEFTOVER = "leftover"  # it takes space, and nobody needs it
    NOTE = "note"  # to be known, and no fault


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    *remedy* says what the user can do, *repaired* what was done about it by now.
    """

    kind: str
    subject: str
    problem: str
    remedy: str
    gravity: Gravity = Gravity.DAMAGE
    repaired: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it is damage that nothing was done about."""
        return self.gravity is Gravity.DAMAGE and not self.repaired


@dataclass(frozen=True, slots=True)
class Fault:
    """A finding, and what would mend it: says what it did, nothing where it was in vain."""

    finding: Finding
    mend: Callable[[], str] | None = None

    def settled(self) -> Finding:
        """The finding once everything was tried."""
        return replace(self.finding, repaired=self.mend() if self.mend else "")


@dataclass(frozen=True, slots=True)
class Use:
    """How much of the disk one kind of thing takes, in bytes: all of it, and what has an owner."""

    kind: str
    taken: int
    owned: int


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, how many things of each kind were looked at, and what they take."""

    findings: Sequence[Finding]
    checked: Sequence[tuple[str, int]]
    usage: Sequence[Use]
    read_data: bool

    @property
    def damaged(self) -> int:
        """How many findings are damage that is still there."""
        return sum(finding.is_open for finding in self.findings)
