"""The flags of run and create become the request that docker 28 makes of them.

What docker sends of its own accord (its defaults, zeros and empty lists) lading leaves to
the engine: both are compared without it.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from lading.cli.faults import Fault, Misuse
from lading.cli.flags import parse
from lading.cli.options.body import create_body
from lading.cli.options.table import FLAGS

Body = dict[str, Any]
ORDINARY = {"AttachStdout": True, "AttachStderr": True, "Image": "b"}
SENT: tuple[tuple[str, Body], ...] = (
    (
        "-it b sh",
        {"AttachStdin": True, "Tty": True, "OpenStdin": True, "StdinOnce": True, "Cmd": ["sh"]},
    ),
    ("-a stdout b", {}),
    ("-a stdin -i b", {"AttachStdin": True, "OpenStdin": True, "StdinOnce": True}),
    ("-p 8080:80 b", {"HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}}),
    (
        "-p 127.0.0.1:8000-8002:80-82/udp b",
        {
            "HostConfig": {
                "PortBindings": {
                    "80/udp": [{"HostIp": "127.0.0.1", "HostPort": "8000"}],
                    "81/udp": [{"HostIp": "127.0.0.1", "HostPort": "8001"}],
                    "82/udp": [{"HostIp": "127.0.0.1", "HostPort": "8002"}],
                }
            }
        },
    ),
    ("-p 80 b", {"HostConfig": {"PortBindings": {"80/tcp": [{}]}}}),
    (
        "-p '[::1]:80:80' b",
        {"HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "::1", "HostPort": "80"}]}}},
    ),
    (
        "-p 8000-8010:80 b",
        {"HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "8000-8010"}]}}},
    ),
    (
        "-p published=8080,target=80,protocol=tcp b",
        {"HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}},
    ),
    ("-P --expose 90-92/udp b", {"HostConfig": {"PublishAllPorts": True}}),
    ("-v /a:/b:ro -v vol:/c -v /anon b", {"HostConfig": {"Binds": ["/a:/b:ro", "vol:/c"]}}),
    (
        "--mount type=bind,src=/a,dst=/b,readonly,bind-propagation=rslave b",
        {
            "HostConfig": {
                "Mounts": [
                    {
                        "Type": "bind",
                        "Source": "/a",
                        "Target": "/b",
                        "ReadOnly": True,
                        "BindOptions": {"Propagation": "rslave"},
                    }
                ]
            }
        },
    ),
    (
        "--mount type=volume,source=v,target=/t,volume-nocopy,volume-label=a=b,"
        "volume-driver=local,volume-opt=o=p b",
        {
            "HostConfig": {
                "Mounts": [
                    {
                        "Type": "volume",
                        "Source": "v",
                        "Target": "/t",
                        "VolumeOptions": {
                            "NoCopy": True,
                            "Labels": {"a": "b"},
                            "DriverConfig": {"Name": "local", "Options": {"o": "p"}},
                        },
                    }
                ]
            }
        },
    ),
    (
        "--mount type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1770 b",
        {
            "HostConfig": {
                "Mounts": [
                    {
                        "Type": "tmpfs",
                        "Target": "/t",
                        "TmpfsOptions": {"SizeBytes": 1048576, "Mode": 1016},
                    }
                ]
            }
        },
    ),
    ("--tmpfs /t:size=1m b", {"HostConfig": {"Tmpfs": {"/t": "size=1m"}}}),
    (
        "-m 512m --memory-swap -1 --memory-reservation 1g --memory-swappiness 10 b",
        {
            "HostConfig": {
                "Memory": 536870912,
                "MemoryReservation": 1073741824,
                "MemorySwap": -1,
                "MemorySwappiness": 10,
            }
        },
    ),
    (
        "--cpus 1.5 -c 512 --cpuset-cpus 0-1 --cpu-period 1000 --cpu-quota 500 b",
        {
            "HostConfig": {
                "CpuShares": 512,
                "NanoCpus": 1500000000,
                "CpuPeriod": 1000,
                "CpuQuota": 500,
                "CpusetCpus": "0-1",
            }
        },
    ),
    (
        "--pids-limit 10 --blkio-weight 100 --oom-score-adj 5 --oom-kill-disable b",
        {
            "HostConfig": {
                "OomScoreAdj": 5,
                "BlkioWeight": 100,
                "OomKillDisable": True,
                "PidsLimit": 10,
            }
        },
    ),
    (
        "--ulimit nofile=10:20 --ulimit core=1 b",
        {
            "HostConfig": {
                "Ulimits": [
                    {"Name": "nofile", "Soft": 10, "Hard": 20},
                    {"Name": "core", "Soft": 1, "Hard": 1},
                ]
            }
        },
    ),
    (
        "--restart on-failure:3 b",
        {"HostConfig": {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}}},
    ),
    ("--restart unless-stopped b", {"HostConfig": {"RestartPolicy": {"Name": "unless-stopped"}}}),
    ("--rm b", {"HostConfig": {"AutoRemove": True}}),
    ("--network host b", {"HostConfig": {"NetworkMode": "host"}}),
    ("--network none b", {"HostConfig": {"NetworkMode": "none"}}),
    (
        "--network mynet --network-alias x --ip 10.0.0.5 b",
        {
            "HostConfig": {"NetworkMode": "mynet"},
            "NetworkingConfig": {
                "EndpointsConfig": {
                    "mynet": {"IPAMConfig": {"IPv4Address": "10.0.0.5"}, "Aliases": ["x"]}
                }
            },
        },
    ),
    (
        "--network name=mynet,alias=a,ip=1.2.3.4 b",
        {
            "HostConfig": {"NetworkMode": "mynet"},
            "NetworkingConfig": {
                "EndpointsConfig": {
                    "mynet": {"IPAMConfig": {"IPv4Address": "1.2.3.4"}, "Aliases": ["a"]}
                }
            },
        },
    ),
    ("--network a --network b b", {"HostConfig": {"NetworkMode": "a"}}),
    ("--network container:x b", {"HostConfig": {"NetworkMode": "container:x"}}),
    (
        "--dns 1.1.1.1 --dns-search d --dns-option o --add-host h:1.2.3.4 "
        "--add-host g=host-gateway b",
        {
            "HostConfig": {
                "Dns": ["1.1.1.1"],
                "DnsOptions": ["o"],
                "DnsSearch": ["d"],
                "ExtraHosts": ["h:1.2.3.4", "g:host-gateway"],
            }
        },
    ),
    (
        "--hostname h --domainname d --mac-address 02:42:ac:11:00:02 b",
        {
            "Hostname": "h",
            "Domainname": "d",
            "NetworkingConfig": {
                "EndpointsConfig": {"default": {"MacAddress": "02:42:ac:11:00:02"}}
            },
        },
    ),
    ("--security-opt systempaths=unconfined b", {}),
    (
        "--device /dev/null:/dev/x:rw b",
        {
            "HostConfig": {
                "Devices": [
                    {
                        "PathOnHost": "/dev/null",
                        "PathInContainer": "/dev/x",
                        "CgroupPermissions": "rw",
                    }
                ]
            }
        },
    ),
    ("--device-cgroup-rule 'c 1:3 rwm' b", {"HostConfig": {"DeviceCgroupRules": ["c 1:3 rwm"]}}),
    ("--entrypoint '' b x", {"Cmd": ["x"], "Entrypoint": [""]}),
    ("--entrypoint sh b -c x", {"Cmd": ["-c", "x"], "Entrypoint": ["sh"]}),
    (
        "--user 1:2 -w /w --read-only --init b",
        {"User": "1:2", "WorkingDir": "/w", "HostConfig": {"ReadonlyRootfs": True, "Init": True}},
    ),
    (
        "--health-cmd true --health-interval 5s --health-retries 2 "
        "--health-start-period 1m --health-timeout 1s --health-start-interval 2s b",
        {
            "Healthcheck": {
                "Test": ["CMD-SHELL", "true"],
                "Interval": 5000000000,
                "Timeout": 1000000000,
                "StartPeriod": 60000000000,
                "StartInterval": 2000000000,
                "Retries": 2,
            }
        },
    ),
    ("--no-healthcheck b", {"Healthcheck": {"Test": ["NONE"]}}),
    (
        "--log-driver json-file --log-opt max-size=1m b",
        {"HostConfig": {"LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}}}},
    ),
    ("--log-driver none b", {"HostConfig": {"LogConfig": {"Type": "none"}}}),
    ("--stop-signal INT --stop-timeout 0 b", {"StopSignal": "INT"}),
    ("--sysctl net.core.somaxconn=10 b", {"HostConfig": {"Sysctls": {"net.core.somaxconn": "10"}}}),
    (
        "--shm-size 64m --ipc private --pid host --uts host --cgroupns private --userns host b",
        {
            "HostConfig": {
                "CgroupnsMode": "private",
                "IpcMode": "private",
                "PidMode": "host",
                "UTSMode": "host",
                "UsernsMode": "host",
                "ShmSize": 67108864,
            }
        },
    ),
    (
        "--group-add 5 --volumes-from x:ro --volume-driver local --runtime runc b",
        {
            "HostConfig": {
                "VolumeDriver": "local",
                "VolumesFrom": ["x:ro"],
                "GroupAdd": ["5"],
                "Runtime": "runc",
            }
        },
    ),
)
REFUSED = (
    ("--restart nope:x b", "invalid restart policy format: maximum retry count must be an integer"),
    ("--restart always --rm b", "conflicting options: cannot specify both --restart and --rm"),
    ("-p 99999:80 b", "invalid hostPort: 99999"),
    ("-p a:80 b", "invalid hostPort: a"),
    ("-p 80:90-95 b", "invalid ranges specified for container and host Ports: 90-95 and 80"),
    ("-v :/x b", "invalid volume specification: ':/x'"),
    ("--mount type=bind,foo=1 b", "unexpected key 'foo' in 'foo=1'"),
    ("--mount type=bind,src=/a b", "target is required"),
    ("-m x b", 'invalid argument "x" for "-m, --memory" flag: invalid size: \'x\''),
    (
        "--cpus x b",
        'invalid argument "x" for "--cpus" flag: failed to parse x as a rational number',
    ),
    ("--ulimit foo=1 b", 'invalid argument "foo=1" for "--ulimit" flag: invalid ulimit type: foo'),
    ("--add-host x b", 'invalid argument "x" for "--add-host" flag: bad format for add-host: "x"'),
    (
        "--dns x b",
        'invalid argument "x" for "--dns" flag: IP address is not correctly formatted: x',
    ),
    ("--memory-swappiness 200 b", "invalid value: 200. Valid memory swappiness range is 0-100"),
    (
        "--network host --network a b",
        "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
    ),
    ("--pid foo b", "--pid: invalid PID mode"),
    ("--env-file nofile b", "open nofile: no such file or directory"),
    ("-e =x b", "invalid environment variable: =x"),
    ("--health-interval -1s b", "--health-interval cannot be negative"),
    ("--no-healthcheck --health-cmd x b", "--no-healthcheck conflicts with --health-* options"),
    ("--device rel b", "rel is not an absolute path"),
    ("--device /dev/x:/dev/y:zz b", "bad mode specified: zz"),
    (
        "--sysctl kernel.foo=1 b",
        'invalid argument "kernel.foo=1" for "--sysctl" flag: sysctl \'kernel.foo=1\' '
        "is not allowed",
    ),
    ("--expose 1:2 b", "invalid port format for --expose: 1:2"),
    (
        "--expose x b",
        'invalid range format for --expose: x, error: strconv.ParseUint: parsing "x": '
        "invalid syntax",
    ),
    ("--mac-address x b", "x is not a valid mac address"),
)


def made(line: str) -> Body:
    return create_body(parse(FLAGS, shlex.split(line), interspersed=False))


def substance(value: Any) -> Any:
    """Without what is empty."""
    if isinstance(value, dict):
        kept = {name: substance(item) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item not in (None, {}, [], "", 0)}
    return [substance(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("line", "sent"), SENT)
def test_flags_become_the_request_that_docker_makes(line: str, sent: Body) -> None:
    body = made(line)
    body = {name: item for name, item in body.items() if item != ORDINARY.get(name)}
    assert substance(body) == sent


@pytest.mark.parametrize(("line", "said"), REFUSED)
def test_what_is_wrong_is_refused_with_a_reason(line: str, said: str) -> None:
    with pytest.raises((Misuse, Fault, ValueError)) as raised:
        made(line)
    assert str(raised.value) == said


def test_nothing_is_sent_that_was_not_asked_for() -> None:
    assert made("b") == ORDINARY


def test_what_means_something_when_empty_is_sent() -> None:
    assert made("--stop-timeout 0 b")["StopTimeout"] == 0
    assert made("--init=false b")["HostConfig"]["Init"] is False
    assert made("--entrypoint '' b")["Entrypoint"] == [""]
    unconfined = made("--security-opt systempaths=unconfined b")["HostConfig"]
    assert (unconfined["MaskedPaths"], unconfined["ReadonlyPaths"]) == ([], [])


def test_everything_behind_the_image_is_the_containers() -> None:
    assert made("b sh -c --rm -- x")["Cmd"] == ["sh", "-c", "--rm", "--", "x"]


class TestVariables:
    def test_a_bare_name_takes_its_value_from_outside(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HERE", "x=y")
        monkeypatch.delenv("THERE", raising=False)
        assert made("-e HERE -e THERE -e A= b")["Env"] == ["HERE=x=y", "THERE", "A="]

    def test_files_come_first_and_may_have_comments(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HERE", "1")
        monkeypatch.delenv("THERE", raising=False)
        file = tmp_path / "env"
        file.write_bytes(b"\xef\xbb\xbfX= 1 \r\n# no\n\n  Y=2\nHERE\nTHERE\n")
        assert made(f"-e A=1 --env-file {file} b")["Env"] == ["X= 1 ", "Y=2", "HERE=1", "A=1"]

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            (b"a b=1", "variable 'a b' contains whitespaces"),
            (b"=1", "no variable name on line '=1'"),
            (b"A=\xff", "invalid utf8 bytes at line 1"),
        ],
    )
    def test_a_line_that_is_none_is_refused(self, line: bytes, said: str, tmp_path: Path) -> None:
        (tmp_path / "env").write_bytes(line)
        with pytest.raises(Fault, match=said):
            made(f"--env-file {tmp_path}/env b")

    def test_labels_come_from_files_too(self, tmp_path: Path) -> None:
        (tmp_path / "labels").write_text("a=1\nbare\n")
        labels = made(f"-l a=2 -l c --label-file {tmp_path}/labels b")["Labels"]
        assert labels == {"a": "2", "c": ""}


class TestThisHost:
    def test_a_relative_bind_is_made_absolute(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir("/usr")
        assert made("-v ./x:/y b")["HostConfig"]["Binds"] == ["/usr/x:/y"]
        mount = made("--mount type=bind,src=./x,dst=/y b")["HostConfig"]["Mounts"][0]
        assert mount["Source"] == "/usr/x"

    def test_a_star_names_every_device(self, tmp_path: Path) -> None:
        for name in ("d1", "d2"):
            (tmp_path / name).touch()
        devices = made(f"--device '{tmp_path}/d*:r' b")["HostConfig"]["Devices"]
        assert [device["PathOnHost"] for device in devices] == [
            f"{tmp_path}/d1",
            f"{tmp_path}/d2",
        ]
        assert {device["CgroupPermissions"] for device in devices} == {"r"}

    def test_a_seccomp_profile_is_read_here(self, tmp_path: Path) -> None:
        (tmp_path / "p.json").write_text('{ "defaultAction": "x" }')
        options = made(f"--security-opt seccomp={tmp_path}/p.json b")["HostConfig"]
        assert options["SecurityOpt"] == ['seccomp={"defaultAction":"x"}']
        (tmp_path / "p.json").write_text("{")
        with pytest.raises(ValueError, match="compacting json"):
            made(f"--security-opt seccomp={tmp_path}/p.json b")


@pytest.mark.parametrize("flag", [flag for flag in FLAGS if flag.refused], ids=str)
def test_dockers_other_flags_are_refused_by_name(flag: object) -> None:
    name = getattr(flag, "name", "")
    with pytest.raises(Misuse, match=f"--{name} is not supported yet"):
        parse(FLAGS, [f"--{name}=1", "b"])
