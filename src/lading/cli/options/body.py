"""From the flags of ``run`` and ``create`` to the body of ``POST /containers/create``.

Only what was asked for is sent: the engine knows its own defaults.
"""

from __future__ import annotations

from lading.cli.flags import Arguments
from lading.cli.options import limits, mounts, networks, ports, variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Body = dict[str, Any]

_UNCONFINED = "systempaths=unconfined"
_STREAMS = ("stdin", "stdout", "stderr")
# the API's field: the flag whose value it takes as it is
_TEXTS = {"Hostname": "hostname", "Domainname": "domainname", "User": "user",
          "WorkingDir": "workdir", "StopSignal": "stop-signal"}  # fmt: skip
_HOST_TEXTS = {
    "CgroupParent": "cgroup-parent",
    "CgroupnsMode": "cgroupns",
    "CpusetCpus": "cpuset-cpus",
    "CpusetMems": "cpuset-mems",
    "IpcMode": "ipc",
    "PidMode": "pid",
    "Runtime": "runtime",
    "UTSMode": "uts",
    "UsernsMode": "userns",
    "VolumeDriver": "volume-driver",
    "ContainerIDFile": "cidfile",
}
_MODES = {  # flag: (its name in errors, what it may be)
    "cgroupns": ("CGROUP", ("", "host", "private")),
    "pid": ("PID", ("", "host")),
    "userns": ("USER", ("", "host")),
    "uts": ("UTS", ("", "host")),
}
_HOST_NUMBERS = {
    "BlkioWeight": "blkio-weight",
    "CpuPeriod": "cpu-period",
    "CpuQuota": "cpu-quota",
    "CpuShares": "cpu-shares",
    "Memory": "memory",
    "MemoryReservation": "memory-reservation",
    "MemorySwap": "memory-swap",
    "NanoCpus": "cpus",
    "OomScoreAdj": "oom-score-adj",
    "PidsLimit": "pids-limit",
    "ShmSize": "shm-size",
}
_HOST_LISTS = {
    "BlkioDeviceReadBps": "device-read-bps",
    "BlkioDeviceReadIOps": "device-read-iops",
    "BlkioDeviceWriteBps": "device-write-bps",
    "BlkioDeviceWriteIOps": "device-write-iops",
    "BlkioWeightDevice": "blkio-weight-device",
    "CapAdd": "cap-add",
    "CapDrop": "cap-drop",
    "DeviceCgroupRules": "device-cgroup-rule",
    "Dns": "dns",
    "DnsOptions": "dns-option",
    "DnsSearch": "dns-search",
    "ExtraHosts": "add-host",
    "GroupAdd": "group-add",
    "Links": "link",
    "Ulimits": "ulimit",
    "VolumesFrom": "volumes-from",
}
_HOST_SWITCHES = {
    "AutoRemove": "rm",
    "OomKillDisable": "oom-kill-disable",
    "Privileged": "privileged",
    "PublishAllPorts": "publish-all",
    "ReadonlyRootfs": "read-only",
}
_HEALTH_NUMBERS = {
    "Interval": "health-interval",
    "Retries": "health-retries",
    "StartInterval": "health-start-interval",
    "StartPeriod": "health-start-period",
    "Timeout": "health-timeout",
}


def create_body(arguments: Arguments) -> Body:
    """The request's body; ValueError or Fault where flags are wrong or contradict each other."""
    if not arguments.on("disable-content-trust"):
        raise ValueError("--disable-content-trust=false is not supported yet")
    body = _config(arguments)
    host = _host(arguments)
    exposed, bindings = ports.published(arguments.many("publish"))
    exposed.update(ports.exposed(arguments.many("expose")))
    binds, anonymous = mounts.volumes(arguments.many("volume"))
    body.update(ExposedPorts=exposed, Volumes=anonymous)
    host.update(PortBindings=bindings, Binds=binds)
    endpoints = networks.endpoints(arguments, host)
    body["HostConfig"] = _filled(host) | _exact_host(arguments)
    if endpoints:
        body["NetworkingConfig"] = {"EndpointsConfig": endpoints}
    return _filled(body) | _exact(arguments)


def _config(arguments: Arguments) -> Body:
    image, *command = arguments.operands
    body: Body = {field: arguments.text(flag) for field, flag in _TEXTS.items()}
    body.update(_streams(arguments))
    body["Image"] = image
    body["Cmd"] = command
    body["Env"] = variables.environment(arguments.many("env-file"), arguments.many("env"))
    body["Labels"] = variables.labels(arguments.many("label-file"), arguments.many("label"))
    body["Healthcheck"] = _health(arguments)
    if arguments.given("entrypoint"):
        body["Entrypoint"] = [arguments.text("entrypoint")]  # one empty word resets the image's
    return body


def _streams(arguments: Arguments) -> Body:
    wanted = arguments.many("attach")
    attached = {name: name in wanted for name in _STREAMS}
    if not wanted:
        attached["stdout"] = attached["stderr"] = True
    attached["stdin"] = attached["stdin"] or arguments.on("interactive")
    return {
        "Tty": arguments.on("tty"),
        "OpenStdin": arguments.on("interactive"),
        "StdinOnce": arguments.on("interactive") and attached["stdin"],
        **{f"Attach{name.capitalize()}": on for name, on in attached.items()},
    }


def _health(arguments: Arguments) -> Body:
    found = {field: arguments.number(flag) for field, flag in _HEALTH_NUMBERS.items()}
    command = arguments.text("health-cmd")
    if arguments.on("no-healthcheck"):
        if command or any(found.values()):
            raise ValueError("--no-healthcheck conflicts with --health-* options")
        return {"Test": ["NONE"]}
    for field, flag in _HEALTH_NUMBERS.items():
        if found[field] < 0:
            raise ValueError(f"--{flag} cannot be negative")
    return _filled({"Test": ["CMD-SHELL", command] if command else [], **found})


def _host(arguments: Arguments) -> Body:
    _check_modes(arguments)
    host: Body = {field: arguments.text(flag) for field, flag in _HOST_TEXTS.items()}
    host.update((field, arguments.number(flag)) for field, flag in _HOST_NUMBERS.items())
    host.update((field, arguments.many(flag)) for field, flag in _HOST_LISTS.items())
    host.update((field, arguments.on(flag)) for field, flag in _HOST_SWITCHES.items())
    host.update(_security(arguments), **_placement(arguments))
    host["RestartPolicy"] = limits.restart_policy(arguments.text("restart"))
    if host["AutoRemove"] and host["RestartPolicy"]["Name"] not in ("", "no"):
        raise ValueError("conflicting options: cannot specify both --restart and --rm")
    if host["RestartPolicy"] == {"Name": "no"}:
        del host["RestartPolicy"]
    return host


def _check_modes(arguments: Arguments) -> None:
    for flag, (name, allowed) in _MODES.items():
        mode = arguments.text(flag)
        if mode not in allowed and not (flag == "pid" and mode.startswith("container:")):
            raise ValueError(f"--{flag}: invalid {name} mode")


def _placement(arguments: Arguments) -> Body:
    swappiness = arguments.number("memory-swappiness")
    if not -1 <= swappiness <= 100:
        raise ValueError(f"invalid value: {swappiness}. Valid memory swappiness range is 0-100")
    options = variables.pairs(arguments.many("log-opt"))
    driver = arguments.text("log-driver")
    if driver == "none" and options:
        raise ValueError("invalid logging opts for driver none")
    found = {
        "Annotations": variables.pairs(arguments.many("annotation")),
        "Devices": [d for spec in arguments.many("device") for d in limits.devices(spec)],
        "Mounts": [mounts.mount(spec) for spec in arguments.many("mount")],
        "Sysctls": variables.pairs(arguments.many("sysctl")),
        "Tmpfs": mounts.tmpfs(arguments.many("tmpfs")),
        "LogConfig": _filled({"Type": driver, "Config": options}),
    }
    return found | ({"MemorySwappiness": swappiness} if swappiness >= 0 else {})


def _security(arguments: Arguments) -> Body:
    options = [limits.security_option(text) for text in arguments.many("security-opt")]
    return {"SecurityOpt": [text for text in options if text != _UNCONFINED]}


def _exact(arguments: Arguments) -> Body:
    """Fields of the container that mean something even when they are empty."""
    found: Body = {}
    if arguments.given("stop-timeout"):
        found["StopTimeout"] = arguments.number("stop-timeout")
    return found


def _exact_host(arguments: Arguments) -> Body:
    """The same for the host's side."""
    found: Body = {}
    if arguments.given("init"):
        found["Init"] = arguments.on("init")
    if _UNCONFINED in arguments.many("security-opt"):
        found.update(MaskedPaths=[], ReadonlyPaths=[])
    return found


def _filled(body: Body) -> Body:
    """Without what is empty."""
    return {field: value for field, value in body.items() if value}
