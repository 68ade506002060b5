"""What a container may do: the defaults that protect the host, and the flags that change them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli_story import Story
from lading.runtime import capabilities

DEFAULT = {
    *("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID"),
    *("SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"),
}
MASKED = "acpi asound interrupts kcore keys latency_stats sched_debug scsi timer_list timer_stats"


def status(lading: Story, *options: str) -> dict[str, str]:
    text = lading.shell("cat /proc/self/status", *options)
    return {k: v.strip() for k, _, v in (line.partition(":") for line in text.splitlines())}


def held(mask: str) -> set[str]:
    """The capabilities' names in one of the kernel's masks."""
    number = int(mask, 16)
    names = {name.removeprefix("CAP_"): n for n, name in enumerate(capabilities.ALL)}
    return {name for name, bit in names.items() if number >> bit & 1}


class TestCapabilities:
    def test_root_has_fourteen_and_hands_none_on(self, lading: Story) -> None:
        found = status(lading)
        for kind in ("CapEff", "CapPrm", "CapBnd"):
            assert held(found[kind]) == DEFAULT
        assert held(found["CapInh"]) == held(found["CapAmb"]) == set()

    def test_others_have_none(self, lading: Story) -> None:
        found = status(lading, "-u", "33")
        assert {int(found[kind], 16) for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {0}

    def test_they_are_added_and_dropped(self, lading: Story) -> None:
        found = status(lading, "--cap-add", "sys_time", "--cap-drop", "CAP_CHOWN")
        assert held(found["CapEff"]) == {*DEFAULT, "SYS_TIME"} - {"CHOWN"}
        assert held(status(lading, "--cap-drop", "ALL")["CapBnd"]) == set()
        one = status(lading, "--cap-drop=all", "--cap-add=KILL")
        assert held(one["CapEff"]) == {"KILL"}
        assert "not permitted" in lading.shell("chown 1 /tmp 2>&1; :", "--cap-drop", "CHOWN")

    def test_all_means_what_this_host_has(self, lading: Story) -> None:
        here = Path("/proc/self/status").read_text().split("CapBnd:")[1].split()[0]
        assert held(status(lading, "--cap-add", "ALL")["CapEff"]) == held(here)


class TestSystemCalls:
    def test_a_filter_is_on_and_privileges_may_be_gained(self, lading: Story) -> None:
        found = status(lading)
        assert (found["Seccomp"], found["NoNewPrivs"]) == ("2", "0")
        assert "not permitted" in lading.shell("unshare -m true 2>&1; :", "-u", "33")

    def test_it_can_be_left_out(self, lading: Story) -> None:
        assert status(lading, "--security-opt", "seccomp=unconfined")["Seccomp"] == "0"

    def test_it_can_be_ones_own(self, lading: Story, tmp_path: Path) -> None:
        rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}
        profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}
        (tmp_path / "profile.json").write_text(json.dumps(profile))
        option = ("--security-opt", f"seccomp={tmp_path}/profile.json")
        assert "not permitted" in lading.shell("mkdir /x 2>&1; :", *option)
        (tmp_path / "profile.json").write_text("not a profile")
        lading("run", *option, "busybox", "true", check=125)
        missing = ("--security-opt", f"seccomp={tmp_path}/none.json")
        assert "none.json" in lading("run", *missing, "busybox", "true", check=125).stderr

    def test_no_privileges_are_gained_when_asked(self, lading: Story) -> None:
        for form in ("no-new-privileges", "no-new-privileges=true", "no-new-privileges:true"):
            assert status(lading, "--security-opt", form)["NoNewPrivs"] == "1"


class TestFiles:
    def test_what_tells_of_the_host_is_hidden(self, lading: Story) -> None:
        script = f"""
        cd /proc
        for name in {MASKED}; do
            [ -e $name ] || continue
            if [ -d $name ]; then ls -A $name; else head -c 1 $name; fi
        done
        ls -A /sys/firmware 2>/dev/null
        ls -A /sys/devices/virtual/powercap 2>/dev/null
        :
        """
        assert lading.shell(script) == ""

    def test_what_would_change_the_host_is_read_only(self, lading: Story) -> None:
        script = """
        for path in /proc/sys/kernel/domainname /proc/sysrq-trigger /proc/irq/*affinity; do
            [ -e $path ] && (echo x >$path) 2>/dev/null && echo wrote $path
        done
        for path in /proc/bus /proc/fs /proc/irq /proc/sys /sys /sys/fs/cgroup; do
            grep -q " $path [a-z0-9]* ro" /proc/mounts || [ ! -e $path ] || echo $path
        done
        mkdir /sys/fs/cgroup/*/x 2>/dev/null && echo made a group
        :
        """
        assert lading.shell(script) == ""

    def test_only_its_own_control_group_is_seen(self, lading: Story) -> None:
        told = lading.shell("find /sys/fs/cgroup -name cgroup.procs | xargs cat | sort -un | wc -l")
        assert int(told) <= 8

    def test_nothing_of_the_hosts_is_mounted(self, lading: Story) -> None:
        root = str(lading.daemon.settings.root)
        lines = lading.shell("cat /proc/self/mountinfo").splitlines()
        shown = {line.split()[4] for line in lines if root in line.split(" - ")[0].split()[3]}
        assert shown == {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}

    def test_its_namespaces_are_its_own(self, lading: Story) -> None:
        for kind in ("ipc", "mnt", "net", "pid", "uts"):
            own = lading.shell(f"readlink /proc/self/ns/{kind}")
            assert own != str(Path(f"/proc/self/ns/{kind}").readlink())

    def test_namespaces_of_the_host_are_given_when_asked(self, lading: Story) -> None:
        for kind in ("ipc", "pid", "uts"):
            own = lading.shell(f"readlink /proc/self/ns/{kind}", f"--{kind}=host")
            assert own == str(Path(f"/proc/self/ns/{kind}").readlink())

    def test_the_masks_can_be_taken_away(self, lading: Story) -> None:
        told = lading.shell(
            "cat /proc/timer_list | wc -c", "--security-opt", "systempaths=unconfined"
        )
        assert int(told) > 0


class TestPrivileged:
    def test_it_may_do_what_the_host_may(self, lading: Story) -> None:
        here = Path("/proc/self/status").read_text().split("CapBnd:")[1].split()[0]
        found = status(lading, "--privileged")
        assert held(found["CapEff"]) == held(here) and found["Seccomp"] == "0"
        script = (
            "mkdir /m; mount -t tmpfs x /m && echo mounted; ls /dev | wc -l; cat /proc/timer_list"
        )
        lines = lading.shell(script, "--privileged").splitlines()
        assert lines[0] == "mounted"
        assert int(lines[1]) > 25 and len(lines) > 3

    def test_without_it_none_of_that(self, lading: Story) -> None:
        script = "mkdir /m; mount -t tmpfs x /m 2>/dev/null || echo refused"
        assert lading.shell(script) == "refused"


@pytest.mark.parametrize(
    "script",
    [
        "mount --bind /etc /mnt",
        "umount /proc/sys",
        "mount -o remount,rw /sys",
        "mknod /dev/sda b 8 0 && head -c 1 /dev/sda",
        "adjtimex -t 9999",
        "hostname changed",
        "swapoff -a && swapon /etc/passwd",
        "ip link set eth0 down",
        "chroot /proc/1/root reboot -f",
        "insmod /etc/passwd",
    ],
)
def test_a_root_inside_is_none_outside(lading: Story, script: str) -> None:
    assert lading.shell(f"({script}) >/dev/null 2>&1 || echo refused") == "refused"
