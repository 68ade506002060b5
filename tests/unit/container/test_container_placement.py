"""What a container gets where nothing was said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lading.container.options import HostConfig
from lading.container.placement import Facts, completed
from lading.runtime.spec import MASKED_PATHS

FACTS = Facts(frozenset({0}), swap_accounting=True, unified=True, runtime="runc")
COUNTERS = tuple(f"/sys/devices/system/cpu/cpu{number}/thermal_throttle" for number in (0, 1))


def test_what_tells_of_the_hosts_load_is_masked_for_each_cpu() -> None:
    host = completed(HostConfig(), replace(FACTS, cpu_counters=COUNTERS))
    assert host.masked_paths == [*MASKED_PATHS, *COUNTERS]


@pytest.mark.parametrize(
    "asked",
    [HostConfig(privileged=True), HostConfig(masked_paths=[])],
    ids=["privileged", "unmasked"],
)
def test_nothing_is_masked_where_that_is_asked_for(asked: HostConfig) -> None:
    assert not completed(asked, replace(FACTS, cpu_counters=COUNTERS)).masked_paths
