"""The checks of doctor: what they make of hosts that lack something."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lading.cli import hostchecks as host
from lading.cli.hostchecks import Finding
from lading.linux.cgroups import UNIFIED, Hierarchies, Layout, NoCgroups


@pytest.mark.parametrize(
    ("release", "state"),
    [("6.1.0-18-amd64", "ok"), ("5.6.0", "ok"), ("5.4.0", "problem"), ("odd", "problem")],
)
def test_old_kernels_do_not_do(release: str, state: str) -> None:
    assert host.kernel(release).state == state


def test_only_root_can_run_an_engine() -> None:
    assert host.privilege(0).state == "ok"
    assert host.privilege(1000).state == "problem"


def test_no_control_groups_are_a_problem_with_a_remedy() -> None:
    def read() -> Hierarchies:
        raise NoCgroups

    (found,) = host.cgroups(read)
    assert found.state == "problem" and found.remedy.startswith("mount ")


def test_a_missing_controller_is_named_with_the_command_that_brings_it(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu cpuset pids\n")
    (tmp_path / "one").mkdir()
    (tmp_path / "one/memory.swap.max").write_text("max")
    unified = Hierarchies(Layout.UNIFIED, {UNIFIED: tmp_path})
    first, second = host.cgroups(lambda: unified)
    assert (first.state, first.detail) == ("ok", "v2: cpu cpuset pids")
    assert (second.name, second.state) == ("cgroup memory", "warning")
    assert second.remedy == f"echo +memory >{tmp_path}/cgroup.subtree_control"


def test_version_1_without_swap_accounting_is_worth_a_note(tmp_path: Path) -> None:
    roots = {name: tmp_path / name for name in ("memory", "cpu", "cpuset", "pids")}
    found = list(host.cgroups(lambda: Hierarchies(Layout.V1, roots)))
    assert [f.state for f in found] == ["ok", "note"]


def test_a_monitor_that_is_missing_can_be_installed() -> None:
    found = host.monitor("/nonexistent/conmon")
    assert (found.state, found.remedy) == ("problem", "apt-get install conmon")


def test_forwarding_that_the_engine_can_turn_on_is_fine(tmp_path: Path) -> None:
    switch = tmp_path / "ip_forward"
    switch.write_text("0\n")
    assert host.forwarding(switch).state == "ok"
    assert host.forwarding(tmp_path / "none").state == "problem"


@pytest.mark.parametrize(
    ("free", "state"), [(10**11, "ok"), (10**9, "warning"), (10**6, "problem")]
)
def test_little_room_is_told(free: int, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values = [4096, 4096, 10**9, 0, free // 4096, 10**6, 10**6, 10**6, 0, 255]
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result(values))
    assert host.space(Path("/nonexistent/root")).state == state


def test_a_check_that_breaks_is_a_finding_too() -> None:
    def broken() -> Iterator[Finding]:
        yield Finding("one", "ok", "fine")
        raise OSError("no such device")

    first, second = host.guarded("parts", broken)
    assert first.state == "ok"
    assert (second.name, second.state) == ("parts", "warning")
    assert "no such device" in second.detail


def test_setup_installs_whatever_a_single_command_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    remedies = {each.name: each.remedy for each in host.conveniences()}
    assert remedies["ps"] == "apt-get install procps"
    packages = (Path(__file__).parents[3] / "packaging/debian-packages").read_text().split()
    wanted = {remedy.removeprefix("apt-get install ") for remedy in remedies.values() if remedy}
    assert wanted <= set(packages)
