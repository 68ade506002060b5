"""What flags with a shape of their own mean: limits, devices, hosts, policies, durations."""

from __future__ import annotations

import json
import posixpath
import re

from lading.cli.flags import Kind
from lading.cli.options.ports import is_address
from lading.cli.units import read_duration, read_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ULIMITS = frozenset(
    ("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc",
     "rss", "rtprio", "rttime", "sigpending", "stack")
)  # fmt: skip
_SYSCTL_NAMES = frozenset(
    ("kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall",
     "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced")
)  # fmt: skip
_CPUS = re.compile(r"\d*\.?\d*", re.ASCII)
_MAC = re.compile(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}")
_RULE = re.compile(r"[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}")


def _swap(text: str) -> int:
    return -1 if text == "-1" else read_size(text)


def _cpus(text: str) -> int:
    """``1.5`` processors in billionths."""
    whole, _, fraction = text.partition(".")
    if not _CPUS.fullmatch(text) or not (whole or fraction):
        raise ValueError(f"failed to parse {text} as a rational number")
    if len(fraction.rstrip("0")) > 9:
        raise ValueError("value is too precise")
    return int(whole or "0") * 10**9 + int((fraction[:9]).ljust(9, "0"))


def _ulimit(text: str) -> dict[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"invalid ulimit argument: {text}")
    if name not in _ULIMITS:
        raise ValueError(f"invalid ulimit type: {name}")
    soft, colon, hard = value.partition(":")
    try:
        ends = int(soft), int(hard if colon else soft)
    except ValueError:
        raise ValueError(f"invalid ulimit value: {value}") from None
    if ends[1] != -1 and (ends[0] > ends[1] or ends[0] == -1):
        relation = f"{ends[0]} > {ends[1]}"
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {relation}")
    return {"Name": name, "Soft": ends[0], "Hard": ends[1]}


def _extra_host(text: str) -> str:
    name, found, address = text.partition("=" if "=" in text else ":")
    if not found or not name or not address:
        raise ValueError(f'bad format for add-host: "{text}"')
    bare = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    if bare != "host-gateway" and not is_address(bare):
        raise ValueError(f'invalid IP address in add-host: "{bare}"')
    return f"{name}:{bare}"


def _address(text: str) -> str:
    if not is_address(text.strip()):
        raise ValueError(f"IP address is not correctly formatted: {text}")
    return text.strip()


def _stream(text: str) -> str:
    if text.lower() not in ("stdin", "stdout", "stderr"):
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")
    return text.lower()


def _sysctl(text: str) -> str:
    name, equals, _ = text.partition("=")
    allowed = name in _SYSCTL_NAMES or name.startswith(("net.", "fs.mqueue."))
    if not equals or not allowed:
        raise ValueError(f"sysctl '{text}' is not allowed")
    return text


def _device_rule(text: str) -> str:
    if not _RULE.fullmatch(text):
        raise ValueError(f"invalid device cgroup format '{text}'")
    return text


def _weight(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text)


def _device_weight(text: str) -> dict[str, Any]:
    path, value = _limited(text)
    weight = int(value) if value.isdigit() else 0
    if not 10 <= weight <= 1000:
        raise ValueError(f"invalid weight for device: {text}")
    return {"Path": path, "Weight": weight}


def _device_rate(text: str) -> dict[str, Any]:
    path, value = _limited(text)
    try:
        return {"Path": path, "Rate": read_size(value)}
    except ValueError:
        number = "number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is "
            f"<device-path>:<number>[<unit>], {number}"
        ) from None


def _device_count(text: str) -> dict[str, Any]:
    path, value = _limited(text)
    if not value.isdigit():
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is "
            "<device-path>:<number>, number must be a positive integer"
        )
    return {"Path": path, "Rate": int(value)}


def _limited(text: str) -> tuple[str, str]:
    """``/dev/sda:value`` in its two parts."""
    path, colon, value = text.partition(":")
    if not colon or not value:
        raise ValueError(f"bad format: {text}")
    if not path.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {text}")
    return path, value


BYTES = Kind("bytes", read_size)
SWAP = Kind("bytes", _swap)
CPUS = Kind("decimal", _cpus)
DURATION = Kind("duration", read_duration)
ULIMITS = Kind("ulimit", _ulimit, many=True)
HOSTS = Kind("list", _extra_host, many=True)
ADDRESSES = Kind("list", _address, many=True)
STREAMS = Kind("list", _stream, many=True)
SYSCTLS = Kind("map", _sysctl, many=True)
DEVICE_RULES = Kind("list", _device_rule, many=True)
WEIGHT = Kind("uint16", _weight)
WEIGHTS = Kind("list", _device_weight, many=True)
RATES = Kind("list", _device_rate, many=True)
COUNTS = Kind("list", _device_count, many=True)


def restart_policy(text: str) -> dict[str, Any]:
    """HostConfig.RestartPolicy for ``--restart``; ValueError where it is wrong."""
    name, colon, count = text.partition(":")
    if colon and not name:
        raise ValueError("invalid restart policy format: no policy provided before colon")
    if not colon:
        return {"Name": name}
    try:
        return {"Name": name, "MaximumRetryCount": int(count)}
    except ValueError:
        message = "maximum retry count must be an integer"
        raise ValueError(f"invalid restart policy format: {message}") from None


def devices(spec: str) -> list[dict[str, str]]:
    """HostConfig.Devices for one ``--device``: ``/dev/x[:/dev/y][:rwm]``, or ``/dev/x*``."""
    parts = spec.split(":")
    if len(parts) > 3 or not parts[0]:
        raise ValueError(f"bad format for path: {spec}")
    source, target, mode = parts[0], "", "rwm"
    if len(parts) == 2 and _is_mode(parts[1]):
        mode = parts[1]
    elif len(parts) > 1:
        target = parts[1]
    if len(parts) == 3:
        mode = parts[2]
        if not _is_mode(mode):
            raise ValueError(f"bad mode specified: {mode}")
    if not posixpath.isabs(target or source):
        raise ValueError(f"{target or source} is not an absolute path")
    if source.endswith("*"):
        if target:
            raise ValueError(f"device with * suffix can't have dst: {spec}")
        return [_device(path, path, mode) for path in _matching(source)]
    return [_device(source, target or source, mode)]


def _matching(pattern: str) -> list[str]:
    from pathlib import Path

    return sorted(str(path) for path in Path("/").glob(pattern.lstrip("/")))


def _is_mode(text: str) -> bool:
    return 0 < len(text) == len(set(text)) and set(text) <= set("rwm")


def _device(host: str, container: str, mode: str) -> dict[str, str]:
    return {"PathOnHost": host, "PathInContainer": container, "CgroupPermissions": mode}


def security_option(text: str) -> str:
    """One ``--security-opt``; a seccomp profile's file is read here, for the engine cannot."""
    name, equals, value = text.partition("=")
    if not equals and name != "no-new-privileges":
        name, equals, value = text.partition(":")
        if not equals:
            raise ValueError(f'invalid --security-opt: "{text}"')
    if name != "seccomp" or value in ("unconfined", "builtin"):
        return text
    try:
        with open(value, "rb") as file:
            profile = json.loads(file.read())
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise ValueError(f"opening seccomp profile ({value}) failed: {reason}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"compacting json for seccomp profile ({value}) failed: {error}") from None
    return "seccomp=" + json.dumps(profile, separators=(",", ":"))


def check_mac(text: str) -> None:
    """ValueError unless *text* is a MAC address."""
    if not _MAC.fullmatch(text):
        raise ValueError(f"{text} is not a valid mac address")
