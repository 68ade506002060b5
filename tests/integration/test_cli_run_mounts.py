"""The flags of run that mount: volumes, binds, tmpfs, devices and a root that is read-only."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli_story import Story


class TestVolumes:
    def test_a_named_one_outlives_its_containers(self, lading: Story) -> None:
        lading.shell("echo kept >/data/file", "-v", "site:/data")
        assert lading.shell("cat /other/file", "--volume", "site:/other") == "kept"
        assert "site" in lading.out("volume", "ls", "-q").split()

    def test_an_empty_one_is_filled_from_the_image(self, lading: Story) -> None:
        assert "root:" in lading.shell("cat /etc/passwd", "-v", "seeded:/etc")
        assert lading.shell("ls /etc | grep -c passwd", "-v", "seeded:/etc") == "1"
        copied = ("--mount", "type=volume,src=bare,dst=/etc,volume-nocopy")
        assert "passwd" not in lading.shell("ls /etc", *copied)

    def test_mount_says_the_same_in_long(self, lading: Story) -> None:
        lading.shell("echo long >/data/x", "--mount", "type=volume,source=long,target=/data")
        script = "cat /data/x; touch /data/y || echo refused"
        only = ("--mount", "type=volume,src=long,dst=/data,readonly")
        assert lading.shell(script + " 2>/dev/null", *only) == "long\nrefused"

    def test_read_only(self, lading: Story) -> None:
        script = "touch /data/x 2>/dev/null || echo refused"
        assert lading.shell(script, "-v", "site:/data:ro") == "refused"

    def test_those_of_others(self, lading: Story) -> None:
        lading("run", "--name", "first", "-v", "/data", "busybox", "sh", "-c", "echo x >/data/x")
        assert lading.shell("cat /data/x", "--volumes-from", "first") == "x"
        script = "touch /data/y 2>/dev/null || echo refused"
        assert lading.shell(script, "--volumes-from", "first:ro") == "refused"


class TestBinds:
    def test_a_directory_of_the_host(self, lading: Story, tmp_path: Path) -> None:
        (tmp_path / "in").write_text("from the host")
        told = lading.shell("cat /host/in; echo back >/host/out", "-v", f"{tmp_path}:/host")
        assert told == "from the host"
        assert (tmp_path / "out").read_text() == "back\n"
        form = f"type=bind,source={tmp_path},target=/host"
        assert lading.shell("cat /host/in", "--mount", form) == "from the host"

    def test_read_only_is_that(self, lading: Story, tmp_path: Path) -> None:
        script = "touch /host/x 2>/dev/null || echo refused"
        assert lading.shell(script, "-v", f"{tmp_path}:/host:ro") == "refused"
        form = f"type=bind,src={tmp_path},dst=/host,readonly"
        assert lading.shell(script, "--mount", form) == "refused"

    def test_one_file(self, lading: Story, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("one")
        assert lading.shell("cat /made/here", "-v", f"{tmp_path}/file:/made/here") == "one"

    def test_what_is_not_there_is_made_or_refused(self, lading: Story, tmp_path: Path) -> None:
        lading.shell("touch /x/file", "-v", f"{tmp_path}/made:/x")
        assert (tmp_path / "made/file").exists()
        form = f"type=bind,src={tmp_path}/none,dst=/x"
        told = lading("run", "--mount", form, "busybox", check=125).stderr
        assert "bind source path does not exist" in told

    def test_a_directory_does_not_cover_a_file_nor_a_file_a_directory(
        self, lading: Story, tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        for mount in (f"{tmp_path}:/etc/passwd", f"{tmp_path}/file:/etc"):
            told = lading("run", "--rm", "-v", mount, "busybox", "true", check=125).stderr
            assert "Are you trying to mount a directory onto a file (or vice-versa)?" in told


class TestTmpfs:
    def test_it_is_in_memory_and_gone_afterwards(self, lading: Story) -> None:
        look = "grep ' /scratch ' /proc/mounts"
        told = lading.shell(look, "--tmpfs", "/scratch:size=64k,mode=1770,noexec")
        assert told.startswith("tmpfs /scratch tmpfs ") and "noexec" in told
        assert "size=64k" in told and "mode=1770" in told

    def test_it_has_its_size(self, lading: Story) -> None:
        form = "type=tmpfs,dst=/scratch,tmpfs-size=128k,tmpfs-mode=700"
        assert lading.shell("touch /scratch/x", "--tmpfs", "/scratch", "-u", "33") == ""
        script = "head -c 200000 /dev/zero >/scratch/x; stat -c %s /scratch/x; stat -c %a /scratch"
        assert lading.shell(script + " 2>/dev/null", "--mount", form) == "131072\n700"

    def test_the_shared_memory_has_the_size_asked_for(self, lading: Story) -> None:
        look = "df -k /dev/shm | tail -n 1 | awk '{print $2}'"
        assert lading.shell(look) == str(64 << 10)
        assert lading.shell(look, "--shm-size", "8m") == str(8 << 10)


def test_a_root_that_is_read_only(lading: Story) -> None:
    script = "touch /x 2>/dev/null || echo refused; touch /data/x /tmp/x /dev/shm/x && echo works"
    options = ("--read-only", "-v", "/data", "--tmpfs", "/tmp")
    assert lading.shell(script, *options) == "refused\nworks"
    for file in ("hosts", "hostname", "resolv.conf"):
        script = f"(echo x >>/etc/{file}) 2>/dev/null || echo refused"
        assert lading.shell(script, "--read-only") == "refused"
        assert lading.shell(script) == ""


class TestDevices:
    def test_none_but_the_harmless_ones_is_there(self, lading: Story) -> None:
        found = set(lading.shell("ls /dev").split())
        assert found <= {
            *("console", "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm"),
            *("stderr", "stdin", "stdout", "tty", "urandom", "zero"),
        }

    def test_one_is_added_with_its_rights(self, lading: Story) -> None:
        look = "stat -c '%F %t:%T' /dev/mine; head -c 3 /dev/mine | wc -c"
        told = lading.shell(look, "--device", "/dev/zero:/dev/mine:r").splitlines()
        assert told == ["character special file 1:5", "3"]
        write = "(echo x >/dev/mine) 2>/dev/null || echo refused"
        assert lading.shell(write, "--device", "/dev/loop0:/dev/mine:r") == "refused"

    def test_one_made_inside_cannot_be_opened(self, lading: Story) -> None:
        script = "mknod /loop b 7 0 && (head -c 1 </loop) 2>/dev/null || echo refused"
        assert lading.shell(script) == "refused"
        allowed = "mknod /loop b 7 0 && true </loop && echo opened"
        assert lading.shell(allowed, "--device-cgroup-rule", "b 7:* rmw") == "opened"


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("type=nope,dst=/x", "nope"),
        ("type=volume,src=a", "target"),
        ("type=bind,dst=/x", "source"),
        ("type=tmpfs,dst=/x,src=/y", "source"),
        ("type=volume,dst=/x,nope=1", "nope"),
    ],
)
def test_a_mount_that_is_none_is_refused(lading: Story, form: str, told: str) -> None:
    assert told in lading("run", "--mount", form, "busybox", check=125).stderr.lower()
