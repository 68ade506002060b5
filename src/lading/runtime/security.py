"""What --security-opt says, decided against what this host can do.

An option that asks for less protection than there is, or for protection that the kernel lacks,
is answered by one rule: a profile that cannot be applied is refused (Unsupported), switching off
what is not there is no error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lading.errors import Invalid, Unsupported

UNCONFINED = "unconfined"
_BUILTIN = ("", "builtin", "default")
_DEFAULT_APPARMOR = ("docker-default", "lading-default")
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


class BadSecurityOption(Invalid):
    """Raised for a --security-opt that is not understood; *step* is where, in Docker's words."""

    def __init__(self, option: str, step: int) -> None:
        super().__init__(f'invalid --security-opt {step}: "{option}"')


class NoSuchProtection(Unsupported):
    """Raised for a profile or label that this host's kernel cannot apply."""

    def __init__(self, option: str, what: str) -> None:
        super().__init__(f'cannot apply --security-opt "{option}": {what} is not available here')


@dataclass(frozen=True, slots=True)
class SecurityOptions:
    """The options taken together; the defaults are what a container gets that names none."""

    no_new_privileges: bool = False
    seccomp: str = ""  # a profile in Docker's JSON, UNCONFINED, or empty: the default profile
    apparmor: str | None = None  # the name of a profile that is loaded; None: none
    system_paths_unconfined: bool = False


def parse(options: Iterable[str], *, has_apparmor: bool = False) -> SecurityOptions:
    """Take Docker's ``--security-opt`` values; BadSecurityOption, NoSuchProtection."""
    chosen = SecurityOptions(apparmor=_DEFAULT_APPARMOR[1] if has_apparmor else None)
    for option in options:
        key, value = _split(option)
        try:
            apply = _APPLY[key]
        except KeyError:
            raise BadSecurityOption(option, 2) from None
        chosen = apply(chosen, option, value, has_apparmor)
    return chosen


def has_apparmor(module: Path = Path("/sys/module/apparmor/parameters/enabled")) -> bool:
    """Whether the kernel enforces AppArmor profiles."""
    try:
        return module.read_text().strip() == "Y"
    except OSError:
        return False


def _split(option: str) -> tuple[str, str]:
    if option in ("no-new-privileges", "disable"):
        return ("label", "disable") if option == "disable" else (option, "true")
    for separator in ("=", ":"):
        key, found, value = option.partition(separator)
        if found:
            return key, value
    raise BadSecurityOption(option, 1)


def _no_new_privileges(
    chosen: SecurityOptions, option: str, value: str, _: bool
) -> SecurityOptions:
    if value not in _TRUE + _FALSE:
        raise BadSecurityOption(option, 2)
    return replace(chosen, no_new_privileges=value in _TRUE)


def _seccomp(chosen: SecurityOptions, option: str, value: str, _: bool) -> SecurityOptions:
    return replace(chosen, seccomp="" if value in _BUILTIN else value)


def _apparmor(chosen: SecurityOptions, option: str, value: str, has: bool) -> SecurityOptions:
    if value == UNCONFINED:
        return replace(chosen, apparmor=None)
    if not has:
        raise NoSuchProtection(option, "AppArmor")
    return replace(chosen, apparmor=value)


def _label(chosen: SecurityOptions, option: str, value: str, _: bool) -> SecurityOptions:
    if value != "disable":
        raise NoSuchProtection(option, "SELinux")
    return chosen


def _system_paths(chosen: SecurityOptions, option: str, value: str, _: bool) -> SecurityOptions:
    if value != UNCONFINED:
        raise BadSecurityOption(option, 2)
    return replace(chosen, system_paths_unconfined=True)


_APPLY: Mapping[str, Callable[[SecurityOptions, str, str, bool], SecurityOptions]] = {
    "no-new-privileges": _no_new_privileges,
    "seccomp": _seccomp,
    "apparmor": _apparmor,
    "label": _label,
    "systempaths": _system_paths,
}
