"""What a build is asked for, and what it came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lading.build.rules import BuildWarning
from lading.image.image import Image
from lading.oci.platform import Platform
from lading.oci.reference import Reference

_MOST_EPOCH = 253402300799  # the last second that RFC 3339 can write


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """*limits* are fields of Docker's ``HostConfig``; *secrets* are by ID and never kept.

    *text* is the Dockerfile itself where it does not lie in the context, which *is_filtered*
    where its sender has left out what it is to.
    """

    dockerfile: str = ""
    text: bytes | None = None
    is_filtered: bool = False
    build_args: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    no_cache: bool = False
    pull: bool = False
    squash: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    network: str = "default"
    hosts: tuple[str, ...] = ()
    limits: Mapping[str, Any] = field(default_factory=dict)
    references: tuple[Reference, ...] = ()
    platform: Platform = field(default_factory=Platform.of_host)
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    credentials: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def epoch(self) -> int | None:
        """SOURCE_DATE_EPOCH, seconds since 1970: nothing in the image is to be newer."""
        text = self.build_args.get("SOURCE_DATE_EPOCH", "")
        is_number = text.isascii() and text.isdigit() and len(text) < 13
        return int(text) if is_number and int(text) <= _MOST_EPOCH else None


@dataclass(frozen=True, slots=True)
class Built:
    """The image, and what the user should know besides."""

    image: Image
    names: tuple[str, ...] = ()  # as people know them
    warnings: tuple[BuildWarning, ...] = ()
