"""An image's JSON: how to run it, what its layers hold and how they came about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lading.oci.digest import Digest
from lading.oci.documents import InvalidDocument, array, parse, table, text
from lading.oci.platform import Platform

_WHAT = "image config"
_TEXTS = ("User", "WorkingDir", "StopSignal", "Hostname", "Domainname")
_LISTS = ("Env", "Cmd", "Entrypoint", "OnBuild", "Shell")
_SETS = ("ExposedPorts", "Volumes")


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of how the image came about (config.md#properties, "history")."""

    created: str
    created_by: str
    comment: str
    author: str
    empty_layer: bool


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The config document; its digest is the image ID."""

    raw: bytes
    document: Mapping[str, Any]
    diff_ids: tuple[Digest, ...]
    history: tuple[HistoryEntry, ...]

    @classmethod
    def parse(cls, raw: bytes) -> ImageConfig:
        """Take a config; InvalidDocument where a field's type is not the specification's."""
        document = parse(raw, _WHAT)
        rootfs = table(document.get("rootfs"), _WHAT, "rootfs")
        diff_ids = array(rootfs.get("diff_ids"), _WHAT, "rootfs.diff_ids")
        history = array(document.get("history"), _WHAT, "history")
        for field in ("architecture", "os", "variant", "created", "author"):
            text(document.get(field), _WHAT, field)
        _check_run(table(document.get("config"), _WHAT, "config"))
        return cls(
            raw,
            document,
            tuple(Digest.parse(diff_id) for diff_id in diff_ids),
            tuple(_history(entry) for entry in history),
        )

    @property
    def id(self) -> Digest:
        return Digest.of(self.raw)

    @property
    def run(self) -> Mapping[str, Any]:
        """How to run it: Docker's ``Config`` object, types checked."""
        return self.document.get("config") or {}

    @property
    def created(self) -> str:
        return self.document.get("created") or ""

    @property
    def author(self) -> str:
        return self.document.get("author") or ""

    @property
    def platform(self) -> Platform:
        words = (self.document.get(key) or "" for key in ("os", "architecture", "variant"))
        return Platform(*words)

    @property
    def labels(self) -> Mapping[str, str]:
        return self.run.get("Labels") or {}


def chain_ids(diff_ids: Sequence[Digest]) -> Iterator[Digest]:
    """Name each stack of layers, bottom first: image-spec, config.md#layer-chainid."""
    chain: Digest | None = None
    for diff_id in diff_ids:
        chain = diff_id if chain is None else Digest.of(f"{chain} {diff_id}".encode())
        yield chain


def _history(entry: object) -> HistoryEntry:
    fields = table(entry, _WHAT, "history")
    created, by, comment, author = (
        text(fields.get(key), _WHAT, key) for key in ("created", "created_by", "comment", "author")
    )
    empty = fields.get("empty_layer") or False
    if not isinstance(empty, bool):
        raise InvalidDocument(_WHAT, "empty_layer is not true or false")
    return HistoryEntry(created, by, comment, author, empty)


def _check_run(run: Mapping[str, Any]) -> None:
    for field in _TEXTS:
        text(run.get(field), _WHAT, field)
    for field in _LISTS:
        value = run.get(field)
        if field in ("Cmd", "Entrypoint") and isinstance(value, str):
            continue
        for word in array(value, _WHAT, field):
            text(word, _WHAT, field)
    for field in _SETS:
        table(run.get(field), _WHAT, field)
    for value in table(run.get("Labels"), _WHAT, "Labels").values():
        text(value, _WHAT, "a label")
    table(run.get("Healthcheck"), _WHAT, "Healthcheck")
