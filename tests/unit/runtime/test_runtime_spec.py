"""The runtime's config.json: Docker's secure defaults, and what each option changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.linux.cgroups import Layout
from lading.runtime.capabilities import DEFAULT
from lading.runtime.devices import Device, DeviceRule
from lading.runtime.mounts import MountPoint
from lading.runtime.resources import Resources, linux_resources
from lading.runtime.spec import (
    INIT_PATH,
    MASKED_PATHS,
    READONLY_PATHS,
    Namespaces,
    ProcessRequest,
    Rlimit,
    Shared,
    SpecRequest,
    process,
    spec,
)
from lading.runtime.users import User

FIRST = ProcessRequest(argv=("sh",), env=("A=1",))
REQUEST = SpecRequest(process=FIRST, rootfs="/r", hostname="h", cgroup_path="/lading-x/c")


def made(**changes: Any) -> dict[str, Any]:
    return spec(replace(REQUEST, **changes))


def kinds(document: dict[str, Any]) -> dict[str, str | None]:
    return {n["type"]: n.get("path") for n in document["linux"]["namespaces"]}


def mounts(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {m["destination"]: m for m in document["mounts"]}


class TestDefaults:
    def test_every_namespace_is_new(self) -> None:
        assert set(kinds(made())) == {"mount", "pid", "ipc", "uts", "network", "cgroup"}
        assert set(kinds(made()).values()) == {None}

    def test_fourteen_capabilities_and_none_to_hand_on(self) -> None:
        found = made()["process"]["capabilities"]
        assert len(found["bounding"]) == 14
        assert found["bounding"] == found["effective"] == found["permitted"] == list(DEFAULT)
        assert found["inheritable"] == found["ambient"] == []

    def test_paths_are_masked_and_read_only(self) -> None:
        linux = made()["linux"]
        assert linux["maskedPaths"] == list(MASKED_PATHS)
        assert linux["readonlyPaths"] == list(READONLY_PATHS)
        assert {"/proc/interrupts", "/sys/devices/virtual/powercap"} <= set(MASKED_PATHS)

    def test_sys_and_the_control_groups_are_read_only(self) -> None:
        for path in ("/sys", "/sys/fs/cgroup"):
            assert "ro" in mounts(made())[path]["options"]

    def test_devices_are_denied_first(self) -> None:
        first = made()["linux"]["resources"]["devices"][0]
        assert first == {"allow": False, "access": "rwm"}

    def test_the_umask_is_022_and_the_score_untouched(self) -> None:
        assert made()["process"]["user"]["umask"] == 0o022
        assert "oomScoreAdj" not in made()["process"]

    def test_parents_are_mounted_before_children(self) -> None:
        order = [m["destination"] for m in made()["mounts"]]
        assert order.index("/dev") < order.index("/dev/pts")
        assert order.index("/sys") < order.index("/sys/fs/cgroup")


class TestOptions:
    def test_another_user_has_no_capability_in_effect(self) -> None:
        found = made(process=replace(FIRST, user=User(5, 6, (7,))))["process"]
        assert found["capabilities"]["effective"] == found["capabilities"]["permitted"] == []
        assert found["capabilities"]["bounding"] == list(DEFAULT)
        assert found["user"] == {"uid": 5, "gid": 6, "additionalGids": [6, 7], "umask": 0o022}

    def test_privileged_takes_the_walls_away(self) -> None:
        document = made(privileged=True, seccomp={"defaultAction": "x"})
        linux = document["linux"]
        assert linux["maskedPaths"] == linux["readonlyPaths"] == []
        assert "seccomp" not in linux
        assert linux["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
        assert "rw" in mounts(document)["/sys"]["options"]

    def test_a_filter_is_passed_on(self) -> None:
        assert made(seccomp={"defaultAction": "x"})["linux"]["seccomp"] == {"defaultAction": "x"}
        assert "seccomp" not in made()["linux"]

    def test_the_hosts_namespaces(self) -> None:
        every = Namespaces(
            pid=Shared.HOST,
            ipc=Shared.HOST,
            uts=Shared.HOST,
            network=Shared.HOST,
            cgroup=Shared.HOST,
        )
        document = made(namespaces=every)
        assert set(kinds(document)) == {"mount"}
        assert "hostname" not in document
        assert mounts(document)["/dev/shm"]["type"] == "bind"

    def test_a_namespace_by_its_path(self) -> None:
        assert kinds(made(namespaces=Namespaces(network="/run/n")))["network"] == "/run/n"

    @pytest.mark.parametrize("layout", [Layout.V1, Layout.HYBRID])
    def test_v1_has_a_control_group_namespace_only_when_asked(self, layout: Layout) -> None:
        assert "cgroup" not in kinds(made(cgroup_layout=layout))
        private = Namespaces(cgroup=Shared.PRIVATE)
        assert "cgroup" in kinds(made(cgroup_layout=layout, namespaces=private))

    def test_an_init_comes_first(self) -> None:
        document = made(init="/usr/bin/tini-static")
        assert document["process"]["args"] == [INIT_PATH, "--", "sh"]
        assert mounts(document)[INIT_PATH]["source"] == "/usr/bin/tini-static"

    def test_devices_are_made_and_allowed(self) -> None:
        given_ = Device("/dev/fuse", "c", 10, 229, access="rw")
        linux = made(devices=(given_,))["linux"]
        assert linux["devices"][0]["path"] == "/dev/fuse"
        assert linux["resources"]["devices"][-1] == {
            "allow": True,
            "type": "c",
            "major": 10,
            "minor": 229,
            "access": "rw",
        }

    def test_rules_come_last(self) -> None:
        rule = DeviceRule(True, "c", 42, None, "r")
        assert made(device_rules=(rule,))["linux"]["resources"]["devices"][-1] == {
            "allow": True,
            "type": "c",
            "major": 42,
            "access": "r",
        }

    def test_a_domain_name_is_a_sysctl(self) -> None:
        assert made(domainname="d")["linux"]["sysctl"] == {"kernel.domainname": "d"}

    def test_one_mount_asked_for_replaces_the_default(self) -> None:
        document = made(mounts=(MountPoint.bind("/x", "/dev/shm"),))
        found = [m for m in document["mounts"] if m["destination"] == "/dev/shm"]
        assert [m["source"] for m in found] == ["/x"]

    def test_a_terminal_and_its_size(self) -> None:
        found = process(replace(FIRST, terminal=True, console_size=(24, 80)))
        assert found["consoleSize"] == {"height": 24, "width": 80}
        assert "consoleSize" not in process(replace(FIRST, console_size=(24, 80)))

    def test_limits_of_the_process(self) -> None:
        found = process(replace(FIRST, rlimits=(Rlimit("nofile", 5, -1),)))["rlimits"]
        assert found == [{"type": "RLIMIT_NOFILE", "soft": 5, "hard": 2**64 - 1}]

    def test_the_rest(self) -> None:
        document = made(
            process=replace(
                FIRST, no_new_privileges=True, oom_score_adj=5, apparmor="a", selinux_label="s"
            ),
            annotations={"k": "v"},
            rootfs_propagation="rslave",
            mount_label="m",
            readonly_rootfs=True,
        )
        assert document["process"]["noNewPrivileges"] is True
        assert document["process"]["oomScoreAdj"] == 5
        assert document["process"]["apparmorProfile"] == "a"
        assert document["process"]["selinuxLabel"] == "s"
        assert document["annotations"] == {"k": "v"}
        assert document["linux"]["rootfsPropagation"] == "rslave"
        assert document["linux"]["mountLabel"] == "m"
        assert document["root"] == {"path": "/r", "readonly": True}


class TestResources:
    def test_nothing_asked_nothing_set(self) -> None:
        assert linux_resources(Resources()) == {}

    def test_memory(self) -> None:
        asked = Resources(memory=1, memory_swap=-1, memory_reservation=3, memory_swappiness=0)
        found = linux_resources(asked)["memory"]
        assert found == {"limit": 1, "swap": -1, "reservation": 3, "swappiness": 0}
        disabled = linux_resources(Resources(memory=1, oom_kill_disable=True))
        assert disabled["memory"]["disableOOMKiller"] is True

    def test_processors(self) -> None:
        assert linux_resources(Resources(nano_cpus=1_500_000_000))["cpu"] == {
            "quota": 150_000,
            "period": 100_000,
        }
        asked = Resources(cpu_shares=2, cpu_quota=3, cpu_period=4, cpuset_cpus="0", cpuset_mems="0")
        assert linux_resources(asked)["cpu"] == {
            "shares": 2,
            "quota": 3,
            "period": 4,
            "cpus": "0",
            "mems": "0",
        }

    def test_processes_and_weight(self) -> None:
        assert linux_resources(Resources(pids=9))["pids"] == {"limit": 9}
        assert linux_resources(Resources(pids=-1))["pids"] == {"limit": -1}
        assert linux_resources(Resources(pids=0))["pids"] == {"limit": -1}
        assert linux_resources(Resources(blkio_weight=100))["blockIO"] == {"weight": 100}


class TestMountPoints:
    def test_a_bind(self) -> None:
        assert MountPoint.bind("/s", "/d").options == ("rbind", "rw", "rprivate")
        assert MountPoint.bind("/s", "/d", read_only=True).options == ("rbind", "rro", "rprivate")
        flat = MountPoint.bind("/s", "/d", read_only=True, recursive=False, propagation="slave")
        assert flat.options == ("bind", "ro", "slave")

    def test_a_tmpfs(self) -> None:
        assert MountPoint.tmpfs("/t").options == ("noexec", "nosuid", "nodev")
        assert MountPoint.tmpfs("/t", ("exec", "size=1m")).options == (
            "nosuid",
            "nodev",
            "exec",
            "size=1m",
        )

    @given(st.lists(st.sampled_from(["/a", "/a/b", "/a/b/c", "/b", "/dev/x", "/"]), unique=True))
    def test_whatever_the_order_parents_come_first(self, places: list[str]) -> None:
        asked = tuple(MountPoint.bind("/s", place) for place in places)
        order = [m["destination"] for m in made(mounts=asked)["mounts"]]
        for index, place in enumerate(order):
            below = place.rstrip("/") + "/"
            assert not any(other.startswith(below) for other in order[:index])
