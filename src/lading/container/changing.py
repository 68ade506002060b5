"""Change what is remembered of a container: its name, its limits, its restart policy."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from lading.container import checks, limits, names, refusals
from lading.container.announcing import Announcer
from lading.container.options import HostConfig, UpdateRequest
from lading.container.placement import Facts
from lading.container.record import Container
from lading.container.roster import Roster
from lading.errors import Invalid
from lading.runtime.oci import Runtime


class Changer:
    """Rename and update containers, each change durable or not made."""

    def __init__(
        self,
        roster: Roster,
        runtime: Runtime,
        announcer: Announcer,
        facts: Facts,
        *,
        on_rename: Callable[[str, str], None],
    ) -> None:
        """*on_rename* is told a container's ID and its new name."""
        self._roster, self._runtime = roster, runtime
        self._announcer, self._facts = announcer, facts
        self._on_rename = on_rename

    def rename(self, ref: str, name: str) -> None:
        """Give it another name; NameTaken, InvalidName."""
        chosen = names.check(name.removeprefix("/"))
        with self._roster.locked(ref) as slot:
            old = slot.container
            if chosen == old.name:
                raise Invalid("Renaming a container with the same name as its current name")
            self._roster.reserve(chosen, old.id)
            try:
                self._roster.keep(slot, msgspec.structs.replace(old, name=chosen))
            except BaseException:
                self._roster.release(chosen, old.id)
                raise
            self._roster.release(old.name, old.id)
            self._on_rename(old.id, chosen)
            self._announcer.tell(slot.container, "rename", oldName=f"/{old.name}")

    def update(self, ref: str, asked: UpdateRequest) -> list[str]:
        """Change limits and restart policy, at once where it runs; warnings.

        UnsupportedOption, BadOption, RuntimeFailed; nothing has changed then.
        """
        refusals.check_update(asked)
        with self._roster.locked(ref) as slot:
            container = slot.container
            host = self._updated(container, asked)
            if container.running:
                self._runtime.update(container.id, limits.limits(host))
            self._roster.keep(slot, msgspec.structs.replace(container, host=host))
            self._announcer.tell(slot.container, "update")
        return []

    def _updated(self, container: Container, asked: UpdateRequest) -> HostConfig:
        host = limits.updated(container.host, asked)
        policy = asked.restart_policy
        if policy is not None and policy.name:
            checks.check_restart_policy(policy, auto_remove=host.auto_remove)
            host = msgspec.structs.replace(host, restart_policy=policy)
        checks.check_resources(host, self._facts)
        return host
