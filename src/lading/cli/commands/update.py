"""``lading update``: change the limits and the restart policy of containers."""

from __future__ import annotations

import sys

from lading.cli.client import Client
from lading.cli.command import ANY, Command
from lading.cli.faults import Fault
from lading.cli.flags import NUMBER, TEXT, Arguments, Flag
from lading.cli.options.limits import BYTES, CPUS, SWAP, WEIGHT, restart_policy
from lading.cli.references import reference
from lading.cli.several import each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FIELDS = {
    "blkio-weight": "BlkioWeight",
    "cpu-period": "CpuPeriod",
    "cpu-quota": "CpuQuota",
    "cpu-shares": "CpuShares",
    "cpus": "NanoCpus",
    "cpuset-cpus": "CpusetCpus",
    "cpuset-mems": "CpusetMems",
    "memory": "Memory",
    "memory-reservation": "MemoryReservation",
    "memory-swap": "MemorySwap",
    "pids-limit": "PidsLimit",
}


def run(arguments: Arguments, client: Client) -> int:
    """Change every container named; the engine's warnings come last."""
    body = _body(arguments)
    warnings: list[str] = []

    def update(name: str) -> None:
        answer = client.post(f"/containers/{reference(name)}/update", body)
        warnings.extend((answer or {}).get("Warnings") or ())

    code = each(arguments.operands, update)
    for warning in warnings:
        print(warning, file=sys.stderr)
    return code


def _body(arguments: Arguments) -> dict[str, Any]:
    """What was asked for, and nothing else."""
    body = {
        field: arguments.value(flag) for flag, field in _FIELDS.items() if arguments.given(flag)
    }
    if arguments.given("restart"):
        try:
            body["RestartPolicy"] = restart_policy(arguments.text("restart"))
        except ValueError as error:
            raise Fault(str(error)) from None
    if not body:
        raise Fault("you must provide one or more flags when using this command")
    return body


COMMANDS = {
    "update": Command(
        run,
        "[OPTIONS] CONTAINER [CONTAINER...]",
        example="lading update --memory 512m --cpus 1.5 web",
        flags=(
            Flag("blkio-weight", WEIGHT,
                 "Block IO (relative weight), between 10 and 1000, or 0 to disable"),
            Flag("cpu-period", NUMBER, "Limit CPU CFS (Completely Fair Scheduler) period"),
            Flag("cpu-quota", NUMBER, "Limit CPU CFS (Completely Fair Scheduler) quota"),
            Flag("cpu-rt-period", NUMBER, "Limit the CPU real-time period", refused=True),
            Flag("cpu-rt-runtime", NUMBER, "Limit the CPU real-time runtime", refused=True),
            Flag("cpu-shares", NUMBER, "CPU shares (relative weight)", short="c"),
            Flag("cpus", CPUS, "Number of CPUs"),
            Flag("cpuset-cpus", TEXT, "CPUs in which to allow execution (0-3, 0,1)"),
            Flag("cpuset-mems", TEXT, "MEMs in which to allow execution (0-3, 0,1)"),
            Flag("kernel-memory", BYTES, "Kernel memory limit", refused=True),
            Flag("memory", BYTES, "Memory limit", short="m"),
            Flag("memory-reservation", BYTES, "Memory soft limit"),
            Flag("memory-swap", SWAP,
                 "Swap limit equal to memory plus swap: -1 to enable unlimited swap"),
            Flag("pids-limit", NUMBER, "Tune container pids limit (set -1 for unlimited)"),
            Flag("restart", TEXT, "Restart policy to apply when a container exits",
                 values=("no", "always", "unless-stopped", "on-failure")),
        ),
        operands=(1, ANY),
        complete="containers",
    )
}  # fmt: skip
