"""The system calls that a container may make: lading's own profile, and profiles in Docker's JSON.

The default is an allow-list: what is not named fails with EPERM.  Calls that a capability
makes useful are allowed with that capability only.  Turning a profile into the runtime's
`linux.seccomp` is done here, without I/O; loading the filter is the runtime's job.
"""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lading.errors import Invalid
from lading.runtime.syscalls import ALLOWED, ALLOWED_ON, ALLOWED_WITH

Json = dict[str, Any]

_ALLOW = "SCMP_ACT_ALLOW"
_ERRNO = "SCMP_ACT_ERRNO"
# Address families that a container may open: all but AF_CAIF (37), AF_ALG (38) and AF_VSOCK
# (40), which reach past every namespace.  Comparisons, for each is a rule to be compiled.
_FAMILIES = ((37, "SCMP_CMP_LT"), (39, "SCMP_CMP_EQ"), (40, "SCMP_CMP_GT"))
# Every namespace flag of clone(2); CLONE_NEWTIME shares its bits with the exit signal.
_CLONE_NEW = 0x7E020000
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)  # PER_LINUX, LINUX32, UNAME26; query

# uname -m: the name in profiles, the native architecture, and those whose calls it runs too.
# x32 is left out of the default: nothing is built for it any more, and compiling the filter,
# which takes a large part of a container's start, would take twice as long.
_ARCHITECTURES: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "x86_64": ("amd64", "SCMP_ARCH_X86_64", ("SCMP_ARCH_X86",)),
    "aarch64": ("arm64", "SCMP_ARCH_AARCH64", ("SCMP_ARCH_ARM",)),
    "ppc64le": ("ppc64le", "SCMP_ARCH_PPC64LE", ()),
    "s390x": ("s390x", "SCMP_ARCH_S390X", ("SCMP_ARCH_S390",)),
    "riscv64": ("riscv64", "SCMP_ARCH_RISCV64", ()),
}
_MOST_PROFILE_BYTES = 1024 * 1024


class InvalidProfile(Invalid):
    """Raised for a seccomp profile that cannot be used; the container must not start."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"decoding seccomp profile failed: {reason}")


@dataclass(frozen=True, slots=True)
class Host:
    """What a profile's conditions are asked about."""

    machine: str  # uname -m
    kernel: tuple[int, int]


def default(capabilities: Iterable[str], host: Host) -> Json:
    """lading's profile for a container with *capabilities*."""
    held = frozenset(capabilities)
    name, native, others = _architecture(host)
    allowed = set(ALLOWED) | set(ALLOWED_ON.get(name, ()))
    for capability, calls in ALLOWED_WITH.items():
        if capability in held:
            allowed.update(calls)
    rules = [_rule(sorted(allowed))]
    rules += [_rule(["socket"], [_argument(0, value, test)]) for value, test in _FAMILIES]
    rules += [_rule(["personality"], [_argument(0, p, "SCMP_CMP_EQ")]) for p in _PERSONALITIES]
    if "CAP_SYS_ADMIN" not in held:
        rules += _threads_only(name)
    return {
        "defaultAction": _ERRNO,
        "defaultErrnoRet": errno.EPERM,
        "architectures": [native, *others],
        "syscalls": rules,
    }


def _threads_only(name: str) -> list[Json]:
    """clone(2) without new namespaces; clone3(2), whose flags no filter can read, is "absent"."""
    flags = 1 if name == "s390x" else 0  # there the stack comes first
    masked = {"index": flags, "value": _CLONE_NEW, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
    absent = {"names": ["clone3"], "action": _ERRNO, "errnoRet": errno.ENOSYS}
    return [_rule(["clone"], [masked]), absent]


def _rule(names: Sequence[str], arguments: Sequence[Json] = ()) -> Json:
    rule: Json = {"names": list(names), "action": _ALLOW}
    if arguments:
        rule["args"] = list(arguments)
    return rule


def _argument(index: int, value: int, operator: str) -> Json:
    return {"index": index, "value": value, "op": operator}


def _architecture(host: Host) -> tuple[str, str, tuple[str, ...]]:
    try:
        return _ARCHITECTURES[host.machine]
    except KeyError:
        raise InvalidProfile(f"no system call list for the architecture {host.machine}") from None


def parse(text: str | bytes, capabilities: Iterable[str], host: Host) -> Json:
    """The runtime's filter from a profile in Docker's JSON; InvalidProfile when it is not one."""
    if len(text) > _MOST_PROFILE_BYTES:
        raise InvalidProfile(f"longer than {_MOST_PROFILE_BYTES} bytes")
    try:
        profile = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidProfile(str(error)) from None
    if not isinstance(profile, dict) or not isinstance(profile.get("defaultAction"), str):
        raise InvalidProfile("defaultAction is missing")
    return _translated(profile, frozenset(capabilities), host)


def _translated(profile: Json, held: frozenset[str], host: Host) -> Json:
    name, native, _ = _architecture(host)
    rules = [_checked(rule) for rule in _list(profile, "syscalls")]
    filtered = {
        "defaultAction": profile["defaultAction"],
        "architectures": _architectures(profile, native),
        "syscalls": [_bare(r) for r in rules if _applies(r, held, name, host.kernel)],
    }
    for key in ("defaultErrnoRet", "flags", "listenerPath", "listenerMetadata"):
        if profile.get(key) is not None:
            filtered[key] = profile[key]
    return filtered


def _architectures(profile: Json, native: str) -> list[str]:
    if profile.get("architectures") and profile.get("archMap"):
        raise InvalidProfile("both architectures and archMap are given: use one of them")
    for entry in _list(profile, "archMap"):
        if isinstance(entry, dict) and entry.get("architecture") == native:
            return [native, *_strings(entry, "subArchitectures")]
    return _strings(profile, "architectures")


def _checked(rule: Any) -> Json:
    if not isinstance(rule, dict) or not isinstance(rule.get("action"), str):
        raise InvalidProfile("a rule without an action")
    if rule.get("name") and rule.get("names"):
        raise InvalidProfile("both name and names are given in one rule: use one of them")
    if not (rule.get("name") or rule.get("names")):
        raise InvalidProfile("a rule without names")
    return rule


def _bare(rule: Json) -> Json:
    """The rule as the runtime wants it: without conditions and comments."""
    names = [rule["name"]] if rule.get("name") else _strings(rule, "names")
    bare: Json = {"names": names, "action": rule["action"]}
    if rule.get("errnoRet") is not None:
        bare["errnoRet"] = rule["errnoRet"]
    if rule.get("args"):
        bare["args"] = _list(rule, "args")
    return bare


def _applies(rule: Json, held: frozenset[str], name: str, kernel: tuple[int, int]) -> bool:
    includes, excludes = _conditions(rule, "includes"), _conditions(rule, "excludes")
    if any(cap in held for cap in _strings(excludes, "caps")):
        return False
    if name in _strings(excludes, "arches"):
        return False
    if (below := excludes.get("minKernel")) and kernel >= _version(below):
        return False
    if not held.issuperset(_strings(includes, "caps")):
        return False
    if (arches := _strings(includes, "arches")) and name not in arches:
        return False
    return not (least := includes.get("minKernel")) or kernel >= _version(least)


def _conditions(rule: Json, key: str) -> Json:
    value = rule.get(key) or {}
    if not isinstance(value, dict):
        raise InvalidProfile(f"{key} is no object")
    return value


def _list(source: Json, key: str) -> list[Any]:
    value = source.get(key) or []
    if not isinstance(value, list):
        raise InvalidProfile(f"{key} is no list")
    return value


def _strings(source: Json, key: str) -> list[str]:
    values = _list(source, key)
    if not all(isinstance(value, str) for value in values):
        raise InvalidProfile(f"{key} holds something else than text")
    return values


def _version(text: Any) -> tuple[int, int]:
    match = re.match(r"(\d{1,5})\.(\d{1,5})", str(text))
    if not match:
        raise InvalidProfile(f"no kernel version: {str(text)[:40]!r}")
    return int(match[1]), int(match[2])
