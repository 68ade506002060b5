"""The flags of run that limit: memory, processors, processes and open files."""

from __future__ import annotations

import time

import pytest

from cli_story import Story, eventually

# Where a limit is seen from inside: control groups of version 1, then of version 2.
SEEN = {
    "memory": "memory/memory.limit_in_bytes memory.max",
    "reservation": "memory/memory.soft_limit_in_bytes memory.low",
    "quota": "cpu/cpu.cfs_quota_us cpu.max",
    "period": "cpu/cpu.cfs_period_us cpu.max",
    "pids": "pids/pids.max pids.max",
    "shares": "cpu/cpu.shares cpu.weight",
    "cpus": "cpuset/cpuset.cpus cpuset.cpus",
}


def seen(lading: Story, limit: str, *options: str) -> str:
    """The limit, as the container's own control group has it."""
    files = " ".join(f"/sys/fs/cgroup/{name}" for name in SEEN[limit].split())
    return lading.shell(f"cat {files} 2>/dev/null; :", *options)


@pytest.mark.parametrize(
    ("limit", "options", "old", "new"),
    [
        ("memory", ("-m", "64m"), str(64 << 20), str(64 << 20)),
        ("reservation", ("--memory-reservation", "32m"), str(32 << 20), str(32 << 20)),
        ("quota", ("--cpus", "0.5"), "50000", "50000 100000"),
        ("period", ("--cpu-period", "20000", "--cpu-quota", "5000"), "20000", "5000 20000"),
        ("pids", ("--pids-limit", "33"), "33", "33"),
        ("shares", ("-c", "512"), "512", "20"),
        ("cpus", ("--cpuset-cpus", "0"), "0", "0"),
    ],
)
def test_the_limit_is_the_control_groups(
    lading: Story, limit: str, options: tuple[str, ...], old: str, new: str
) -> None:
    assert seen(lading, limit, *options) in (old, new)


def test_one_that_takes_too_much_memory_is_killed_and_it_is_known(lading: Story) -> None:
    since = f"{time.time():.6f}"
    grow = 'BEGIN { s = "0123456789abcdef"; while (1) s = s s }'
    limits = ("-m", "16m", "--memory-swap", "16m")
    lading("run", "--name", "glutton", *limits, "busybox", "awk", grow, check=137)
    assert lading.field("glutton", "{{.State.OOMKilled}} {{.State.ExitCode}}") == "true 137"
    form = ("--format", "{{.Action}}", "--since", since, "--until", f"{time.time():.6f}")
    assert "oom" in lading.out("events", *form).split()


def test_a_killed_one_that_had_memory_enough_was_not_that(lading: Story) -> None:
    lading("run", "-d", "--name", "modest", "-m", "64m", "busybox", "sleep", "100")
    lading("kill", "modest")
    assert lading.out("wait", "modest") == "137"
    assert lading.field("modest", "{{.State.OOMKilled}}") == "false"


def test_half_a_processor_is_no_more_than_that(lading: Story) -> None:
    lading(
        "run", "-d", "--name", "half", "--cpus", "0.5", "busybox", "sh", "-c", "while :; do :; done"
    )
    eventually(lambda: lading.out("ps", "-q"))
    template = "{{.CPUPerc}}"
    percent = lading.out("stats", "--no-stream", "--format", template, "half")
    assert 5 < float(percent.rstrip("%")) < 70


def test_no_more_processes_than_allowed(lading: Story) -> None:
    script = (
        "for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; echo made $(ls -d /proc/[0-9]* | wc -l)"
    )
    done = lading.daemon.lading(
        *("run", "--rm", "--pids-limit", "5", "busybox", "sh", "-c", f"({script}) 2>&1; :")
    )
    assert "can't fork" in done.stdout + done.stderr


def test_limits_of_a_process(lading: Story) -> None:
    options = ("--ulimit", "nofile=100:200", "--ulimit", "core=0", "--ulimit", "nproc=77")
    told = lading.shell("ulimit -n; ulimit -Hn; ulimit -c; cat /proc/self/limits", *options)
    assert told.split("\n")[:3] == ["100", "200", "0"]
    assert any(
        line.split()[2:4] == ["77", "77"] for line in told.splitlines() if "processes" in line
    )


def test_the_order_in_which_it_is_killed_when_memory_runs_out(lading: Story) -> None:
    assert lading.shell("cat /proc/self/oom_score_adj", "--oom-score-adj", "500") == "500"


def test_parameters_of_the_kernel(lading: Story) -> None:
    told = lading.shell("cat /proc/sys/net/core/somaxconn", "--sysctl", "net.core.somaxconn=99")
    assert told == "99"
    refused = lading("run", "--sysctl", "kernel.panic=1", "busybox", check=125).stderr
    assert "kernel.panic" in refused
