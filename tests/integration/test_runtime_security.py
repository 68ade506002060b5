"""What a container can see and do: the secure defaults, seen from inside on the real runtime."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lading.linux.cgroups import Layout
from lading.runtime import capabilities, devices, roots, seccomp
from lading.runtime.capabilities import DEFAULT, chosen
from lading.runtime.mounts import MountPoint
from lading.runtime.roots import BadWorkingDirectory, HostileRoot
from lading.runtime.spec import MASKED_PATHS, READONLY_PATHS, Namespaces, Shared
from lading.runtime.users import User, resolve
from runtime_box import Box, host

ANN = User(1000, 1000, (50, 10), "/tmp")


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with Box(tmp_path) as made:
        yield made


def status(box: Box, **options: object) -> dict[str, str]:
    text = box.output("cat", "/proc/self/status", **options)
    return {k: v.strip() for k, _, v in (line.partition(":") for line in text.splitlines())}


def mask(names: tuple[str, ...]) -> str:
    return f"{sum(1 << capabilities.ALL.index(name) for name in names):016x}"


class TestCapabilities:
    def test_root_has_the_default_ones_and_hands_none_on(self, box: Box) -> None:
        found = status(box)
        assert found["CapInh"] == found["CapAmb"] == mask(())
        assert found["CapPrm"] == found["CapEff"] == found["CapBnd"] == mask(DEFAULT)

    def test_others_have_none_in_effect(self, box: Box) -> None:
        found = status(box, user=ANN)
        assert {found[k] for k in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {mask(())}
        assert found["CapBnd"] == mask(DEFAULT)

    def test_dropping_all_leaves_none(self, box: Box) -> None:
        assert status(box, capabilities=())["CapBnd"] == mask(())

    def test_an_added_one_works(self, box: Box) -> None:
        wider = chosen(["SYS_ADMIN"], available=capabilities.available())
        box.output("mount", "-t", "tmpfs", "x", "/tmp", capabilities=wider)

    def test_mounting_is_not_allowed_without_it(self, box: Box) -> None:
        assert box.run("mount", "-t", "tmpfs", "x", "/tmp").wait() != 0

    def test_no_new_privileges_is_off_until_asked_for(self, box: Box) -> None:
        assert status(box)["NoNewPrivs"] == "0"
        assert status(box, no_new_privileges=True)["NoNewPrivs"] == "1"


class TestProcess:
    def test_no_signal_is_ignored_or_blocked(self, box: Box) -> None:
        found = status(box)
        assert int(found["SigIgn"], 16) == int(found["SigBlk"], 16) == 0

    def test_nothing_of_the_engines_environment_is_there(self, box: Box) -> None:
        names = {line.partition("=")[0] for line in box.output("env").splitlines()}
        assert names <= {"PATH", "HOME", "SHLVL", "PWD"}


class TestUsers:
    def test_the_groups_are_exact(self, box: Box) -> None:
        assert sorted(box.output("id", "-G", user=ANN).split()) == ["10", "1000", "50"]
        assert box.output("id", "-u", user=ANN).strip() == "1000"

    def test_the_primary_group_is_among_the_supplementary_ones(self, box: Box) -> None:
        assert "1000" in status(box, user=User(1000, 1000))["Groups"].split()

    def test_new_files_get_the_usual_mode(self, box: Box) -> None:
        assert box.output("sh", "-c", "umask").strip() == "0022"

    def test_a_user_is_found_inside_the_root(self, box: Box) -> None:
        fd = roots.open_root(box.rootfs)
        try:
            assert resolve(fd, "ann") == ANN
        finally:
            os.close(fd)


class TestSeccomp:
    def test_a_filter_is_on(self, box: Box) -> None:
        assert status(box)["Seccomp"] == "2"

    def test_it_can_be_left_out(self, box: Box) -> None:
        assert status(box, seccomp=None)["Seccomp"] == "0"

    @pytest.mark.parametrize(
        "call", ["socket(38,5,0)", "socket(40,1,0)", "syscall(425,1,0)", "unshare(0x10000000)"]
    )
    def test_what_reaches_past_the_container_is_refused(self, box: Box, call: str) -> None:
        program = compiled(
            box, f"return {call} < 0 && (errno == EPERM || errno == ENOSYS) ? 0 : 9;"
        )
        assert box.run(program).wait() == 0

    def test_threads_and_sockets_work(self, box: Box) -> None:
        body = (
            "pthread_t t; if (pthread_create(&t, 0, run, 0)) return 1; pthread_join(t, 0);"
            "return socket(2,1,0) < 0 || socket(16,3,0) < 0 || personality(0xffffffff) < 0;"
        )
        assert box.run(compiled(box, body)).wait() == 0

    def test_a_profile_in_dockers_json_is_applied(self, box: Box) -> None:
        rule = '{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}'
        text = f'{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{rule}]}}'
        profile = seccomp.parse(text, DEFAULT, host())
        assert box.run("mkdir", "/made", seccomp=profile).wait() != 0
        assert box.run("touch", "/made", seccomp=profile).wait() == 0


def compiled(box: Box, body: str) -> str:
    """A static program with *body* as its main, in the box."""
    source = box.directory / "probe.c"
    source.write_text(
        "#define _GNU_SOURCE\n#include <errno.h>\n#include <pthread.h>\n#include <sched.h>\n"
        "#include <sys/personality.h>\n#include <sys/socket.h>\n#include <unistd.h>\n"
        "void *run(void *x) { return x; }\n"
        f"int main(void) {{ {body} }}\n"
    )
    done = subprocess.run(
        ["gcc", "-static", "-pthread", "-o", str(box.rootfs / "bin/probe"), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("no static C compiler here")
    return "/bin/probe"


class TestFileSystems:
    def test_what_tells_of_the_host_is_masked(self, box: Box) -> None:
        for path in MASKED_PATHS:
            script = f"if [ -d {path} ]; then ls {path}; elif [ -e {path} ]; then cat {path}; fi"
            assert box.output("sh", "-c", script) == "", path

    def test_what_changes_the_host_is_read_only(self, box: Box) -> None:
        mounts = [line.split() for line in box.output("cat", "/proc/mounts").splitlines()]
        read_only = {fields[1] for fields in mounts if "ro" in fields[3].split(",")}
        wanted = {path for path in READONLY_PATHS if Path(path).exists()}
        assert wanted | {"/sys"} <= read_only

    def test_the_mounts_are_dockers(self, box: Box) -> None:
        mounts = [line.split() for line in box.output("cat", "/proc/mounts").splitlines()]
        options = {fields[1]: set(fields[3].split(",")) for fields in mounts}
        assert {"nosuid", "nodev", "noexec"} <= options["/proc"] & options["/sys"]
        assert {"nosuid", "nodev", "noexec", "size=65536k"} <= options["/dev/shm"]
        assert "size=65536k" in options["/dev"]
        assert {"/dev/pts", "/dev/mqueue"} <= set(options)

    def test_shared_memory_has_the_size_asked_for(self, box: Box) -> None:
        text = box.output("df", "/dev/shm", shm_size=8 * 1024 * 1024)
        assert text.splitlines()[-1].split()[1] == "8192"

    def test_shared_memory_can_be_left_out(self, box: Box) -> None:
        assert box.run("ls", "/dev/shm", shm_size=0).wait() != 0

    def test_the_root_can_be_read_only(self, box: Box) -> None:
        assert box.run("touch", "/new", readonly_rootfs=True).wait() != 0
        box.output("touch", "/dev/shm/new", readonly_rootfs=True)

    def test_a_container_sees_its_own_control_groups_and_cannot_change_them(self, box: Box) -> None:
        if box.runtime.hierarchies.layout is Layout.UNIFIED:
            pytest.skip("v2: see the namespace")
        script = (
            "cd /sys/fs/cgroup/pids; cat cgroup.procs; echo 5 > pids.max && echo no;"
            "mkdir x && echo no; mkdir ../x && echo no; true"
        )
        lines = box.output("sh", "-c", script).splitlines()
        assert "1" in lines
        assert "no" not in lines
        assert len(lines) <= 2

    def test_only_its_own_descriptors_are_open(self, box: Box) -> None:
        held = socket.create_server(("127.0.0.1", 0))
        with held:
            container = box.run(
                "sh", "-c", "ls /proc/self/fd; sleep 0.2", pass_fds=(held.fileno(),)
            )
            assert container.wait() == 0
        # 3 is the directory that ls itself reads.
        assert container.text().split() == ["0", "1", "2", "3"]

    def test_a_port_stays_bound_until_the_container_has_ended(self, box: Box) -> None:
        held = socket.create_server(("127.0.0.1", 0))
        port = held.getsockname()[1]
        container = box.run("sleep", "60", pass_fds=(held.fileno(),))
        held.close()
        with pytest.raises(OSError):
            socket.create_server(("127.0.0.1", port)).close()
        box.end(container)
        socket.create_server(("127.0.0.1", port)).close()


class TestNamespaces:
    def test_they_are_the_containers_own(self, box: Box) -> None:
        kinds = ("pid", "ipc", "uts", "net", "mnt")
        for kind in kinds:
            inside = box.output("stat", "-L", "-c", "%i", f"/proc/self/ns/{kind}").strip()
            assert inside != str(os.stat(f"/proc/self/ns/{kind}").st_ino), kind
        assert box.output("hostname").strip() == "box"

    def test_the_hosts_can_be_asked_for(self, box: Box) -> None:
        asked = Namespaces(pid=Shared.HOST, ipc=Shared.HOST, uts=Shared.HOST, network=Shared.HOST)
        for kind in ("pid", "ipc", "uts", "net"):
            inside = box.output(
                "stat", "-L", "-c", "%i", f"/proc/self/ns/{kind}", namespaces=asked, hostname=""
            )
            assert inside.strip() == str(os.stat(f"/proc/self/ns/{kind}").st_ino), kind

    def test_another_containers_can_be_joined(self, box: Box) -> None:
        first = box.run("sleep", "60")
        path = f"/proc/{first.launched.process.pid}/ns/net"
        inside = box.output(
            "stat", "-L", "-c", "%i", "/proc/self/ns/net", namespaces=Namespaces(network=path)
        )
        assert inside.strip() == str(os.stat(path).st_ino)

    def test_a_domain_name_is_set(self, box: Box) -> None:
        text = box.output("cat", "/proc/sys/kernel/domainname", domainname="example.org")
        assert text.strip() == "example.org"

    def test_sysctls_are_set(self, box: Box) -> None:
        text = box.output(
            "cat", "/proc/sys/net/ipv4/ip_forward", sysctls={"net.ipv4.ip_forward": "1"}
        )
        assert text.strip() == "1"


class TestDevices:
    def test_the_usual_nodes_are_there_and_work(self, box: Box) -> None:
        names = set(box.output("ls", "/dev").split())
        assert {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "fd", "stdin"} <= names
        box.output("sh", "-c", "head -c 4 /dev/urandom > /dev/null")

    def test_one_that_was_not_given_cannot_be_opened(self, box: Box) -> None:
        script = "mknod /kmsg c 1 11 && head -c 1 /kmsg"
        container = box.run("sh", "-c", script)
        assert container.wait() != 0
        assert "not permitted" in container.text("stderr")

    def test_one_that_was_given_can(self, box: Box) -> None:
        given = devices.from_host("/dev/null", "/dev/mine")
        box.output("sh", "-c", "echo x > /dev/mine", devices=tuple(given))

    def test_what_is_no_device_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(devices.NotADevice):
            devices.from_host(str(tmp_path / "none"), "/dev/x")
        (tmp_path / "plain").touch()
        with pytest.raises(devices.NotADevice):
            devices.from_host(str(tmp_path / "plain"), "/dev/x")


class TestPrivileged:
    def test_it_has_everything_that_there_is(self, box: Box) -> None:
        wide = chosen(privileged=True, available=capabilities.available())
        found = status(box, privileged=True, capabilities=wide, devices=tuple(devices.of_host()))
        assert found["Seccomp"] == "0"
        assert found["CapEff"] == mask(wide)

    def test_it_may_mount_and_write_to_sys(self, box: Box) -> None:
        wide = chosen(privileged=True, available=capabilities.available())
        mounts = box.output(
            "sh",
            "-c",
            "mount -t tmpfs x /tmp && cat /proc/mounts",
            privileged=True,
            capabilities=wide,
        )
        sys = next(line.split() for line in mounts.splitlines() if line.split()[1] == "/sys")
        assert "rw" in sys[3].split(",")


class TestHostileRoots:
    @pytest.mark.parametrize("name", ["dev", "proc", "sys"])
    @pytest.mark.parametrize("kind", ["link", "file"])
    def test_a_link_where_the_runtime_mounts_is_refused(
        self, box: Box, name: str, kind: str
    ) -> None:
        (box.rootfs / name).rmdir()
        if kind == "link":
            (box.rootfs / name).symlink_to("/etc")
        else:
            (box.rootfs / name).touch()
        with pytest.raises(HostileRoot):
            box.create("true")

    def test_links_beneath_dev_lead_nowhere(self, box: Box, tmp_path: Path) -> None:
        victim = tmp_path / "victim"
        victim.write_text("unharmed")
        for name in ("null", "console", "pts", "ptmx", "shm", "zero"):
            (box.rootfs / "dev" / name).symlink_to(victim)
        assert box.run("sh", "-c", "echo x > /dev/null", terminal=True).wait() == 0
        assert victim.read_text() == "unharmed"

    def test_a_mount_through_a_link_stays_inside(self, box: Box, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (box.rootfs / "link").symlink_to(f"../../../../../..{outside}")
        mount = MountPoint.bind(str(box.rootfs / "etc"), "/link/new/place")
        assert "passwd" in box.output("ls", "/link/new/place", mounts=(mount,))
        assert list(outside.iterdir()) == []

    def test_a_mount_through_a_link_into_proc_is_refused(self, box: Box, tmp_path: Path) -> None:
        (box.rootfs / "link").symlink_to("/proc/self")
        (box.rootfs / "flat").symlink_to("/proc")
        for destination in ("/link/attr", "/flat"):
            with pytest.raises(HostileRoot):
                box.create("true", mounts=(MountPoint.bind(str(tmp_path), destination),))

    def test_a_working_directory_in_proc_is_refused(self, box: Box) -> None:
        (box.rootfs / "way").symlink_to("/proc/self/fd/7")
        fd = roots.open_root(box.rootfs)
        try:
            for path in ("/proc/self/fd/7", "/proc/1/root", "/x/../proc/self/cwd", "way", "/way"):
                with pytest.raises(BadWorkingDirectory):
                    roots.ensure_working_directory(fd, path)
            roots.ensure_working_directory(fd, "/srv/app")
        finally:
            os.close(fd)
        assert (box.rootfs / "srv/app").is_dir()
        assert not (box.rootfs / "proc/self").exists()
