"""The small parts: failures, devices, bundles, and what is left of an ended process."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import pytest

from lading.errors import Invalid
from lading.runtime import bundle, conmon, devices, rotation
from lading.runtime.failures import (
    CommandNotExecutable,
    CommandNotFound,
    MountMismatch,
    RuntimeFailed,
    failure,
    last_error,
)
from lading.runtime.rlimits import attainable
from lading.runtime.spec import Rlimit


class TestFailures:
    @pytest.mark.parametrize(
        ("reason", "kind", "code"),
        [
            ('exec: "x": executable file not found in $PATH', CommandNotFound, 127),
            ('exec: "/x": stat /x: no such file or directory', CommandNotFound, 127),
            (
                "executable file `x` not found in $PATH: No such file or directory",
                CommandNotFound,
                127,
            ),
            ('exec: "/x": permission denied', CommandNotExecutable, 126),
            ("open executable: Permission denied", CommandNotExecutable, 126),
            ("open executable: Operation not permitted", CommandNotExecutable, 126),
            ('exec: "/x": is a directory', CommandNotExecutable, 126),
            ("mount a:b: not a directory", MountMismatch, 127),
            ("the moon is full", RuntimeFailed, 125),
        ],
    )
    def test_the_exit_code_is_dockers(
        self, reason: str, kind: type[RuntimeFailed], code: int
    ) -> None:
        error = failure("create", reason)
        assert type(error) is kind
        assert error.exit_code == code
        assert str(error).startswith("OCI runtime create failed: ")
        assert isinstance(error, Invalid) is (code != 125)

    def test_cruns_words_become_those_that_the_docker_command_knows(self) -> None:
        error = failure(
            "create", "executable file `nope` not found in $PATH: No such file or directory"
        )
        assert 'exec: "nope": executable file not found in $PATH: unknown' in str(error)

    def test_a_mount_mismatch_asks_the_right_question(self) -> None:
        assert "Are you trying to mount a directory onto a file" in str(
            failure("create", "not a directory")
        )

    def test_the_last_error_of_a_log(self, tmp_path: Path) -> None:
        log = tmp_path / "log"
        assert last_error(log) is None
        lines = [
            {"level": "error", "msg": "first"},
            {"level": "error", "msg": "last"},
            {"level": "warning", "msg": "after"},
        ]
        log.write_text("\n".join(json.dumps(line) for line in lines) + "\nrubbish\n[]\n")
        assert last_error(log) == "last"


class TestDevices:
    def test_a_node_of_the_host(self) -> None:
        (found,) = devices.from_host("/dev/null", "/dev/mine", "rw")
        assert (found.path, found.type, found.major, found.minor) == ("/dev/mine", "c", 1, 3)
        assert found.rule().access == "rw"

    def test_a_directory_of_them(self, tmp_path: Path) -> None:
        (tmp_path / "sub").mkdir()
        (tmp_path / "plain").touch()
        (tmp_path / "link").symlink_to("/dev/null")
        assert devices.from_host(str(tmp_path), "/dev/all") == []

    def test_what_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "plain").touch()
        for path in ("plain", "missing"):
            with pytest.raises(devices.NotADevice, match="error gathering device"):
                devices.from_host(str(tmp_path / path), "/dev/x")

    def test_the_hosts_own(self) -> None:
        paths = {device.path for device in devices.of_host()}
        assert "/dev/null" in paths
        assert not any(path.startswith(("/dev/pts", "/dev/shm")) for path in paths)


class TestBundle:
    def test_it_is_private_and_replaced_whole(self, tmp_path: Path) -> None:
        directory = tmp_path / "bundle"
        bundle.write(directory, {"a": "ä" * 100})
        bundle.write(directory, {"b": 1})
        config = directory / "config.json"
        assert json.loads(config.read_text()) == {"b": 1}
        assert config.stat().st_mode & 0o777 == 0o600
        assert directory.stat().st_mode & 0o777 == 0o700

    def test_a_link_planted_there_is_not_followed(self, tmp_path: Path) -> None:
        victim = tmp_path / "victim"
        victim.write_text("unharmed")
        (tmp_path / "config.json").symlink_to(victim)
        bundle.write(tmp_path, {"a": 1})
        assert victim.read_text() == "unharmed"


class TestMonitor:
    def test_an_exit_code(self, tmp_path: Path) -> None:
        assert conmon.exit_code(tmp_path) is None
        (tmp_path / "exit").write_text("")
        assert conmon.exit_code(tmp_path) is None
        (tmp_path / "exit").write_text("137")
        assert conmon.exit_code(tmp_path) == 137

    def test_nobody_listens(self, tmp_path: Path) -> None:
        with pytest.raises(conmon.NotAttachable):
            conmon.connect(tmp_path)
        with pytest.raises(conmon.NotAttachable):
            conmon.connect(tmp_path / "gone")
        conmon.resize(tmp_path, 1, 1)
        os.mkfifo(tmp_path / "ctl")
        conmon.resize(tmp_path, 1, 1)

    def test_messages_for_the_monitor(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "ctl")
        reader = os.open(tmp_path / "ctl", os.O_RDONLY | os.O_NONBLOCK)
        try:
            conmon.resize(tmp_path, 24, 80)
            conmon.resize(tmp_path, 70_000, 80)
            conmon.reopen_log(tmp_path)
            assert os.read(reader, 100) == b"1 24 80\n1 1000 80\n2 0 0\n"
        finally:
            os.close(reader)


class TestRotation:
    def test_the_files_oldest_first_and_none_twice(self, tmp_path: Path) -> None:
        log = tmp_path / "log"
        assert rotation.files(log, 3) == []
        for name in ("log", "log.1", "log.2"):
            (tmp_path / name).write_text(name)
        assert [p.name for p in rotation.files(log, 3)] == ["log.2", "log.1", "log"]
        (tmp_path / "log.1").unlink()
        (tmp_path / "log.1").hardlink_to(log)
        assert [p.name for p in rotation.files(log, 3)] == ["log.2", "log.1"]

    def test_nothing_to_rotate(self, tmp_path: Path) -> None:
        assert not rotation.rotate(tmp_path, tmp_path / "log", 3)


class TestLimits:
    def test_defaults_are_lowered_to_what_can_be_given(self) -> None:
        asked = (Rlimit("nofile", 1024, 524_288), Rlimit("nproc", -1, -1), Rlimit("core", -1, -1))
        own = {resource.RLIMIT_NOFILE: 20_000, resource.RLIMIT_NPROC: 500, resource.RLIMIT_CORE: -1}
        given = attainable(asked, may_raise=False, own=lambda kind: (1, own[kind]))
        assert given == (Rlimit("nofile", 1024, 20_000), Rlimit("nproc", 500, 500), asked[2])
        assert attainable(asked, may_raise=True) == asked
