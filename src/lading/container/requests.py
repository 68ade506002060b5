"""Read the body of a create or update request, refusing by name what is not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from lading.container.options import Config, CreateRequest, HostConfig, NetworkingConfig, Shape
from lading.errors import Invalid, Unsupported

S = TypeVar("S", bound=Shape)

# Fields that change nothing on Linux, or that clients send with a meaningless value.
_WITHOUT_EFFECT = frozenset(
    {"KernelMemory", "KernelMemoryTCP", "Cgroup", "Isolation", "ContainerIDFile", "OnBuild"}
    | {"MacAddress", "Platform", "NetworkID", "EndpointID", "Gateway", "IPAddress"}
)
_REFUSED = {
    "Links": "--link",
    "DeviceRequests": "--gpus",
    "StorageOpt": "--storage-opt",
    "BlkioWeightDevice": "--blkio-weight-device",
    "BlkioDeviceReadBps": "--device-read-bps",
    "BlkioDeviceWriteBps": "--device-write-bps",
    "BlkioDeviceReadIOps": "--device-read-iops",
    "BlkioDeviceWriteIOps": "--device-write-iops",
    "CpuRealtimePeriod": "--cpu-rt-period",
    "CpuRealtimeRuntime": "--cpu-rt-runtime",
    "CpuCount": "--cpu-count",
    "CpuPercent": "--cpu-percent",
    "IOMaximumIOps": "--io-maxiops",
    "IOMaximumBandwidth": "--io-maxbandwidth",
}
_REFUSED_FIELDS = {
    "volumes_from": "--volumes-from",
    "volume_driver": "--volume-driver",
    "isolation": "--isolation",
    "userns_mode": "--userns",
    "annotations": "--annotation",
}


class OptionUnsupported(Unsupported):
    """Raised for an option that is well formed, but not there yet."""

    def __init__(self, option: str) -> None:
        super().__init__(f"{option} is not supported by this engine yet")


def create_request(body: Mapping[str, Any]) -> CreateRequest:
    """Take the decoded body of ``POST /containers/create``; Invalid, OptionUnsupported."""
    host_body = body.get("HostConfig") or {}
    network_body = body.get("NetworkingConfig") or {}
    own = {k: v for k, v in body.items() if k not in ("HostConfig", "NetworkingConfig")}
    request = CreateRequest(
        shape(own, Config), shape(host_body, HostConfig), shape(network_body, NetworkingConfig)
    )
    _refuse_unknown(host_body, HostConfig)
    _refuse_fields(request.host)
    if request.config.healthcheck is not None:
        _check_health(request)
    return request


def shape(body: object, kind: type[S]) -> S:
    """*body* as a *kind*: null means absent, other types than Docker's are Invalid."""
    if not isinstance(body, Mapping):
        raise Invalid(f"invalid JSON: {kind.__name__} is not an object")
    given = {key: value for key, value in body.items() if value is not None}
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise Invalid(f"invalid JSON: {kind.__name__}: {error}") from None


def _refuse_unknown(body: Mapping[str, Any], kind: type[Shape]) -> None:
    known = {field.encode_name for field in msgspec.structs.fields(kind)}
    for name, value in body.items():
        if name in known or name in _WITHOUT_EFFECT or not value:
            continue
        raise OptionUnsupported(_REFUSED.get(name, f"HostConfig.{name}"))


def _refuse_fields(host: HostConfig) -> None:
    for field, option in _REFUSED_FIELDS.items():
        value = getattr(host, field)
        if value and value not in ("default", "local", "host"):
            raise OptionUnsupported(option)


def _check_health(request: CreateRequest) -> None:
    test = (request.config.healthcheck.test if request.config.healthcheck else None) or []
    if test and test[0] != "NONE":
        raise OptionUnsupported("--health-cmd")
