"""What an image runs on."""

from __future__ import annotations

import platform as _host
from dataclasses import dataclass

from lading.errors import Invalid

_MACHINES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "i686": "386",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}


@dataclass(frozen=True, slots=True)
class Platform:
    """``os/architecture[/variant]`` in Go's names (image-spec image-index.md)."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Take ``linux/amd64``, ``linux/arm/v7`` or an architecture alone."""
        parts = text.lower().split("/")
        if not all(parts) or len(parts) > 3:
            raise Invalid(f"invalid platform: {text!r}: expected os/architecture[/variant]")
        if len(parts) == 1:
            parts.insert(0, "linux")
        parts[1] = _MACHINES.get(parts[1], parts[1])
        return cls(*parts)

    @classmethod
    def of_host(cls) -> Platform:
        machine = _host.machine()
        return cls("linux", _MACHINES.get(machine, machine))

    def accepts(self, offered: Platform) -> bool:
        """Whether an image for *offered* runs here; a variant left out fits every one."""
        same = (self.os, self.architecture) == (offered.os, offered.architecture)
        return same and (not self.variant or not offered.variant or self.variant == offered.variant)

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))
