"""What the engine's JSON means to a template: Go's names and zero values for its fields.

A `Kind` knows what JSON leaves out or gives as null; fields that no kind mentions are as
they are in JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lading.cli.gotemplate.values import NIL, Map, NilList, NilMap, Struct

Typed = Callable[[object], object]


class Kind:
    """One type of Go's: *names* are Go's where JSON has others, *lists*, *maps* and *pointers*
    (each a line of names) may be nil, *fields* have types of their own.
    """

    __slots__ = ("_fields", "_names", "_zeros")

    def __init__(
        self,
        *,
        names: Mapping[str, str] | None = None,
        lists: str = "",
        maps: str = "",
        pointers: str = "",
        texts: str = "",
        fields: Mapping[str, Typed] | None = None,
    ) -> None:
        self._names = names or {}
        self._zeros: dict[str, object] = {name: NilList() for name in lists.split()}
        self._zeros.update((name, NilMap()) for name in maps.split())
        self._zeros.update((name, NIL) for name in pointers.split())
        self._zeros.update((name, "") for name in texts.split())
        self._fields = dict.fromkeys(maps.split(), _map) | dict(fields or {})

    def __call__(self, value: object) -> object:
        if not isinstance(value, dict):
            return value
        typed = {n: self._fields[n](v) if n in self._fields else v for n, v in value.items()}
        return Struct(typed, self._zeros, self._names)


def _map(value: object) -> object:
    """Go writes a map's keys in order."""
    return Map(sorted(value.items())) if isinstance(value, dict) else value


def _each_in_map(kind: Typed) -> Typed:
    def typed(value: object) -> object:
        if not isinstance(value, dict):
            return value
        return Map({name: kind(value[name]) for name in sorted(value)})

    return typed


def _each(kind: Typed) -> Typed:
    def typed(value: object) -> object:
        return [kind(item) for item in value] if isinstance(value, list) else value

    return typed


_ID = {"ID": "Id"}
_PROCESSOR = {"CPUCount", "CPUPercent", "CPUPeriod", "CPUQuota", "CPUShares", "CPURealtimePeriod",
              "CPURealtimeRuntime"}  # fmt: skip
_CONFIG = Kind(
    lists="Cmd Entrypoint Env OnBuild Shell",
    maps="ExposedPorts Labels Volumes",
    pointers="Healthcheck StopTimeout",
    texts="MacAddress StopSignal",
)
_HOST_CONFIG = Kind(
    names={
        "DNS": "Dns",
        "DNSOptions": "DnsOptions",
        "DNSSearch": "DnsSearch",
        "NanoCPUs": "NanoCpus",
        **{name: name.replace("CPU", "Cpu") for name in _PROCESSOR},
    },
    lists=(
        "Binds BlkioDeviceReadBps BlkioDeviceReadIOps BlkioDeviceWriteBps BlkioDeviceWriteIOps"
        " BlkioWeightDevice CapAdd CapDrop DeviceCgroupRules DeviceRequests Devices Dns DnsOptions"
        " DnsSearch ExtraHosts GroupAdd Links MaskedPaths Mounts ReadonlyPaths SecurityOpt Ulimits"
        " VolumesFrom"
    ),
    maps="Annotations PortBindings StorageOpt Sysctls Tmpfs",
    pointers="Init MemorySwappiness OomKillDisable PidsLimit",
    fields={"LogConfig": Kind(maps="Config")},
)
_ENDPOINT = Kind(lists="Aliases DNSNames Links", maps="DriverOpts", pointers="IPAMConfig")
_GRAPH = Kind(maps="Data")

CONTAINER = Kind(
    names=_ID,
    lists="Args ExecIDs Mounts",
    pointers="ImageManifestDescriptor SizeRootFs SizeRw",
    fields={
        "State": Kind(pointers="Health"),
        "Config": _CONFIG,
        "HostConfig": _HOST_CONFIG,
        "GraphDriver": _GRAPH,
        "NetworkSettings": Kind(
            maps="Ports",
            lists="SecondaryIPAddresses SecondaryIPv6Addresses",
            fields={"Networks": _each_in_map(_ENDPOINT)},
        ),
    },
)
IMAGE = Kind(
    names=_ID,
    lists="RepoDigests RepoTags",
    pointers="Config Descriptor",
    texts="Author Comment Container Created DockerVersion OsVersion Parent Variant",
    fields={
        "Config": _CONFIG,
        "GraphDriver": _GRAPH,
        "RootFS": Kind(lists="Layers"),
    },
)
VOLUME = Kind(maps="Labels Options Status", pointers="ClusterVolume UsageData", texts="CreatedAt")
NETWORK = Kind(
    names=_ID,
    lists="Peers",
    maps="Containers Labels Options Services",
    fields={
        "IPAM": Kind(maps="Options", lists="Config", fields={"Config": _each(Kind(
            texts="Gateway IPRange Subnet", maps="AuxiliaryAddresses"))}),
    },
)  # fmt: skip
EVENT = Kind(
    names={"Status": "status", "ID": "id", "From": "from", "Scope": "scope", "Time": "time",
           "TimeNano": "timeNano"},
    texts="status id from scope",
    fields={"Actor": Kind(maps="Attributes")},
)  # fmt: skip
