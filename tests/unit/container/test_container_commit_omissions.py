"""Everything that an image will not hold of a container is told, and nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lading.container import omissions
from lading.container.omissions import NotIncluded, WouldNotHold
from lading.container.options import Config, HostConfig, NetworkingConfig, decode
from lading.container.placement import Facts, completed
from lading.container.record import Container
from lading.volume.values import MountPoint

FACTS = Facts(frozenset({0}), swap_accounting=True, unified=True, runtime="runc")


def container(*mounts: MountPoint, config: dict[str, Any] | None = None, **host: Any) -> Container:
    asked = decode(msgspec.json.encode(host), HostConfig)
    return Container(
        id="c" * 64,
        name="web",
        created=0,
        image_id="",
        config=decode(msgspec.json.encode({"Hostname": "c" * 12, **(config or {})}), Config),
        host=completed(asked, FACTS),
        networking=NetworkingConfig(),
        layers=[],
        driver="overlay",
        mounts=list(mounts),
    )


def told(made: Container) -> list[tuple[str, str, str]]:
    return [(n.kind, n.name, n.destination) for n in omissions.of(made, lambda name: 7)]


def test_a_container_with_defaults_lacks_nothing() -> None:
    assert told(container()) == []


def test_mounts_come_first_and_volumes_have_sizes() -> None:
    made = container(
        MountPoint("volume", "/data", name="data"),
        MountPoint("bind", "/etc/conf", source="/srv/conf"),
        MountPoint("tmpfs", "/tmp"),
        MountPoint("volume", "/gone", name="gone"),
        RestartPolicy={"Name": "always"},
    )
    sizes = {"data": 4096}
    assert omissions.of(made, sizes.get) == (
        NotIncluded("volume", "data", "/data", 4096),
        NotIncluded("bind", "/srv/conf", "/etc/conf"),
        NotIncluded("tmpfs", "tmpfs", "/tmp"),
        NotIncluded("volume", "gone", "/gone", None),
        NotIncluded("restart policy", "always"),
    )


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (
            {"PortBindings": {"80/tcp": [{"HostPort": "8080"}, {"HostIp": "::1"}]}},
            [("port", "80/tcp", "0.0.0.0:8080"), ("port", "80/tcp", "::1:any")],
        ),
        ({"PublishAllPorts": True}, [("port", "all exposed ports", "0.0.0.0:any")]),
        ({"NetworkMode": "host"}, [("network", "host", "")]),
        (
            {"Memory": 64, "NanoCpus": 500},
            [
                ("limit", "Memory", "64"),
                ("limit", "NanoCpus", "500"),
                ("limit", "MemorySwap", "128"),
            ],
        ),
        (
            {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}},
            [("restart policy", "on-failure:3", "")],
        ),
        (
            {"Devices": [{"PathOnHost": "/dev/fuse"}]},
            [
                (
                    "device",
                    "Devices",
                    '[{"PathOnHost":"/dev/fuse","PathInContainer":"","CgroupPermissions":""}]',
                )
            ],
        ),
        ({"Privileged": True}, [("privilege", "Privileged", "true")]),
        ({"CapAdd": ["NET_ADMIN", "SYS_TIME"]}, [("privilege", "CapAdd", "NET_ADMIN, SYS_TIME")]),
        ({"PidMode": "host"}, [("privilege", "PidMode", "host")]),
        ({"IpcMode": "host"}, [("privilege", "IpcMode", "host")]),
        ({"Dns": ["192.0.2.1"]}, [("option", "Dns", "192.0.2.1")]),
        ({"ReadonlyRootfs": True}, [("option", "ReadonlyRootfs", "true")]),
        ({"ShmSize": 1024}, [("option", "ShmSize", "1024")]),
        (
            {"LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}}},
            [("option", "LogConfig", '{"Type":"json-file","Config":{"max-size":"1m"}}')],
        ),
    ],
)
def test_what_the_host_adds_is_told(
    host: dict[str, Any], expected: list[tuple[str, str, str]]
) -> None:
    assert sorted(told(container(**host))) == sorted(expected)


def test_what_the_image_has_no_place_for_is_told() -> None:
    made = container(config={"Hostname": "db", "Tty": True, "Env": ["A=b"], "Cmd": ["sh"]})
    assert told(made) == [("option", "Hostname", "db"), ("option", "Tty", "true")]


def test_every_option_of_the_host_is_told_or_known_to_say_nothing() -> None:
    """A new field must be thought of here: it is lost in silence otherwise."""
    mounts = {"binds", "mounts", "tmpfs", "volumes_from", "volume_driver"}
    this_host = {"runtime", "cgroupns_mode", "cgroup", "console_size", "container_id_file"}
    seen = {"masked_paths", "readonly_paths"}  # follow from `privileged` and `security_opt`
    elsewhere = {
        *("port_bindings", "publish_all_ports", "network_mode", "restart_policy"),
        *("ipc_mode", "shm_size", "log_config"),
    }
    fields = set(HostConfig.__struct_fields__)
    limits = set(omissions.Resources.__struct_fields__)
    tables = {*omissions.PRIVILEGES, *omissions.OPTIONS}
    assert fields == limits | tables | mounts | this_host | seen | elsewhere


def test_a_refusal_names_all_of_it() -> None:
    lacking = (NotIncluded("volume", "data", "/data", 1), NotIncluded("restart policy", "always"))
    assert str(WouldNotHold(container(), lacking)) == (
        "cannot commit container web strictly: the image would not contain its "
        "volume data (/data), restart policy always"
    )
