"""Backups as lading's own API shows and takes them (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lading.backup.bill import IMAGE, Bill, Part
from lading.backup.browsing import Listed
from lading.backup.commandline import run_line
from lading.backup.comparing import Difference
from lading.backup.depot import Damaged, Stored
from lading.backup.locations import Location
from lading.backup.pruning import Pruned
from lading.backup.slots import Secret
from lading.backup.tree import Kind
from lading.backup.verifying import Verified
from lading.errors import Invalid
from lading.image.times import rfc3339

_MAKERS = {"passphrase": Secret.passphrase, "keyfile": Secret.key_file}


class SecretBody(msgspec.Struct, frozen=True, rename="pascal"):
    """A passphrase's or key file's content; JSON has it in base64."""

    kind: str
    content: bytes


class CreateBody(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The body of ``POST /lading/v1/backups/create``."""

    target: str
    names: list[str] = []
    all: bool = False
    labels: list[str] = []
    consistency: str = "pause"
    pre: str = ""
    post: str = ""
    include_binds: list[str] = []
    exclude: list[str] = []
    secret: SecretBody | None = None
    logins: dict[str, dict[str, str]] = {}


class TargetBody(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A target, or backups at it, and what is wanted of them."""

    target: str = ""
    ref: str = ""
    other: str = ""
    path: str = ""
    read_data: bool = False
    dry_run: bool = False
    keep: dict[str, int] = {}
    secret: SecretBody | None = None
    logins: dict[str, dict[str, str]] = {}


class RestoreBody(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The body of ``POST /lading/v1/restore``: a *ref*, or a *target* for all that it holds."""

    ref: str = ""
    target: str = ""
    name: str = ""
    start: bool = False
    force: bool = False
    allow: list[str] = []
    ports: dict[str, str] = {}
    volumes: dict[str, str] = {}
    networks: dict[str, str] = {}
    secret: SecretBody | None = None
    logins: dict[str, dict[str, str]] = {}


def secret_of(body: SecretBody | None) -> Secret | None:
    """The secret; Invalid for a kind that does not exist."""
    if body is None:
        return None
    if body.kind not in _MAKERS:
        raise Invalid(f"unknown kind of secret: {body.kind[:80]!r}")
    return _MAKERS[body.kind](body.content)


def backup(ref: str, bill: Bill) -> dict[str, Any]:
    """A backup in short."""
    return {
        "ref": ref,
        "container": bill.container.name,
        "id": bill.container.id,
        "image": bill.image.reference,
        "created": rfc3339(bill.created),
        "hostname": bill.hostname,
        "consistency": bill.consistency,
        "paused_ms": bill.paused_ms,
        "size": sum(part.size for part in bill.parts if part.kind != IMAGE),
        "added": bill.added,
        "group": bill.group,
    }


def made(ref: str, bill: Bill) -> dict[str, Any]:
    """The same, with what is to be told of it."""
    return backup(ref, bill) | {"not_included": bill.not_included, "warnings": bill.warnings}


def row(location: Location, each: Stored | Damaged) -> dict[str, Any]:
    """A line of ``backup ls``."""
    ref = location.ref(each.tag)
    if isinstance(each, Damaged):
        return {"ref": ref, "damaged": each.why}
    return backup(ref, each.bill)


def whole(location: Location, stored: Stored) -> dict[str, Any]:
    """Everything that ``backup show`` tells."""
    bill = stored.bill
    size = sum(blob.size for blob in stored.blobs)
    return made(location.ref(stored.tag), bill) | {
        "version": bill.version,
        "lading": bill.lading,
        "was_running": bill.container.was_running,
        "image_id": bill.image.id,
        "parts": [_part(part) for part in bill.parts],
        "stored": size,
        "shared": max(0, size - bill.added),
        "packs": len(bill.packs),
        "networks": [each.get("name") for each in bill.networks],
        "run": run_line(bill),
        "options": msgspec.to_builtins(bill.container),
    }


def file(listed: Listed) -> dict[str, Any]:
    """A line of ``backup files``."""
    entry = listed.entry
    return {
        "part": f"{listed.part.kind} {listed.part.name}".strip(),
        "path": listed.path.decode(errors="backslashreplace"),
        "kind": Kind(entry.kind).name.lower(),
        "mode": f"{entry.mode:04o}",
        "uid": entry.uid,
        "gid": entry.gid,
        "size": entry.size,
        "mtime": rfc3339(entry.mtime) if entry.kind != Kind.DELETED else "",
        "target": entry.target.decode(errors="backslashreplace"),
    }


def differences(found: Sequence[Difference]) -> list[Mapping[str, str]]:
    return [{"kind": each.kind, "part": each.part, "path": each.path} for each in found]


def verified(location: Location, found: Verified, warnings: Sequence[str]) -> dict[str, Any]:
    return {
        "backups": found.backups,
        "blobs": found.blobs,
        "size": found.size,
        "findings": [
            {"ref": location.ref(each.tag), "problem": each.problem, "parts": list(each.parts)}
            for each in found.findings
        ],
        "warnings": list(warnings),
    }


def pruned(location: Location, found: Pruned) -> dict[str, Any]:
    return {
        "removed": [location.ref(tag) for tag in found.removed],
        "kept": [{"ref": location.ref(tag), "because": why} for tag, why in found.kept.items()],
        "blobs": found.blobs,
        "freed": found.freed,
        "warnings": found.warnings,
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "kind": part.kind,
        "name": part.name,
        "files": part.entries,
        "size": part.size,
        "tree": part.tree.digest,
    }
