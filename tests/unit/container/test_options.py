"""Docker's bodies are read as Go reads them, and what cannot be honoured is named."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from lading.container import refusals
from lading.container.options import (
    CreateRequest,
    EndpointSettings,
    ExecConfig,
    InvalidOptions,
    PortBinding,
    UpdateRequest,
    decode,
)


def read(**fields: Any) -> CreateRequest:
    return decode(json.dumps(fields).encode(), CreateRequest)


def test_null_is_the_same_as_absent() -> None:
    assert read(Hostname=None, Env=None, HostConfig=None, StopTimeout=None) == read()
    assert read(HostConfig={"Memory": None, "PidsLimit": None, "Mounts": None}) == read()


def test_null_in_a_map_is_a_value() -> None:
    asked = read(
        Volumes={"/x": None},
        Labels={"a": None},
        HostConfig={"PortBindings": {"80/tcp": None}},
        NetworkingConfig={"EndpointsConfig": {"web": None}},
    )
    assert asked.volumes == {"/x": {}}
    assert asked.labels == {"a": ""}
    assert asked.host_config.port_bindings == {"80/tcp": []}
    assert asked.networking_config.endpoints_config == {"web": EndpointSettings()}


def test_a_command_may_be_a_string() -> None:
    assert read(Cmd="ls", Entrypoint=["sh", "-c"]).cmd == ["ls"]


def test_an_empty_list_is_not_null() -> None:
    assert read(Entrypoint=[]).entrypoint == []
    assert read().entrypoint is None


def test_names_are_dockers() -> None:
    asked = read(
        HostConfig={
            "UTSMode": "host",
            "BlkioDeviceReadIOps": [{"Path": "/dev/sda", "Rate": 5}],
            "ContainerIDFile": "f",
            "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]},
        },
        NetworkingConfig={"EndpointsConfig": {"n": {"IPAMConfig": {"IPv4Address": "10.0.0.2"}}}},
    )
    host = asked.host_config
    assert (host.uts_mode, host.container_id_file) == ("host", "f")
    assert host.blkio_device_read_iops and host.blkio_device_read_iops[0].rate == 5
    assert host.port_bindings == {"80/tcp": [PortBinding(host_ip="127.0.0.1", host_port="8080")]}
    networks = asked.networking_config.endpoints_config
    assert networks and networks["n"].ipam_config
    assert networks["n"].ipam_config.ipv4_address == "10.0.0.2"


def test_what_was_read_is_written_back() -> None:
    asked = read(Image="b", Env=["A=1"], HostConfig={"Binds": ["v:/x"], "Init": True})
    again = msgspec.json.decode(msgspec.json.encode(asked), type=CreateRequest)
    assert again == asked
    assert asked.config.env == ["A=1"]


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"null",
        b"",
        b"{",
        b'{"Image":5}',
        b'{"Env":[null]}',
        b'{"Env":"A=1"}',
        b'{"HostConfig":{"Memory":9223372036854775808}}',
        b'{"HostConfig":{"Memory":1e400}}',
        b'{"HostConfig":[]}',
        b'{"Image":"\xff"}',
        b'{"a":' * 100_000,
    ],
)
def test_other_shapes_are_refused(content: bytes) -> None:
    with pytest.raises(InvalidOptions, match="invalid JSON"):
        decode(content, CreateRequest)


def test_an_exec_and_an_update_are_read() -> None:
    assert decode(b'{"Cmd":["true"],"Env":null,"ConsoleSize":null}', ExecConfig).cmd == ["true"]
    assert decode(b'{"Memory":5,"RestartPolicy":{"Name":"always"}}', UpdateRequest).memory == 5


@pytest.mark.parametrize(
    ("host", "option"),
    [
        ({"DeviceRequests": [{"Count": -1}]}, "--gpus"),
        ({"UsernsMode": "private"}, "--userns"),
        ({"StorageOpt": {"size": "1G"}}, "--storage-opt"),
        ({"KernelMemory": 4096}, "--kernel-memory"),
    ],
)
def test_what_cannot_be_honoured_is_named(host: dict[str, Any], option: str) -> None:
    asked = read(HostConfig=host)
    with pytest.raises(refusals.UnsupportedOption, match=option):
        refusals.check(asked.config, asked.host_config)


@pytest.mark.parametrize(
    "host", [{}, {"UsernsMode": "host"}, {"VolumeDriver": "local"}, {"Isolation": "default"}]
)
def test_defaults_are_not_refused(host: dict[str, Any]) -> None:
    asked = read(HostConfig=host, Healthcheck={"Test": ["NONE"]})
    refusals.check(asked.config, asked.host_config)


def test_fields_may_be_spelled_in_any_case_as_in_go() -> None:
    body = (
        b'{"image":"x","HOSTCONFIG":{"memory":7,"Sysctls":{"Memory":"1"}},"labels":{"Image":"y"}}'
    )
    found = decode(body, CreateRequest)
    assert (found.image, found.host_config.memory) == ("x", 7)
    assert found.host_config.sysctls == {"Memory": "1"}
    assert found.labels == {"Image": "y"}  # the user's own names stay


def test_the_right_spelling_wins() -> None:
    assert decode(b'{"image":"wrong","Image":"right"}', CreateRequest).image == "right"
