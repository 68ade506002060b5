"""fsck and gc: what is told, and with which exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from canned_engine import CannedEngine

Lading = Callable[..., Any]
BAD = {
    "Kind": "layer",
    "Subject": "sha256:abc",
    "Problem": "the index has other bytes",
    "Remedy": "load or pull web:1 again",
    "Gravity": "damage",
    "Repaired": "",
}


def report(*findings: dict[str, str], damaged: int = 0) -> dict[str, Any]:
    return {
        "aux": {
            "Findings": list(findings),
            "Checked": {"Blobs": 3, "Layers": 1},
            "Usage": [{"Kind": "blobs", "Taken": 5_000_000, "Owned": 4_000_000}],
            "ReadData": False,
            "Damaged": damaged,
        }
    }


def test_a_sound_root_ends_well(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["POST /lading/v1/fsck"] = report()
    done = lading("fsck")
    assert done.code == 0
    assert done.out.splitlines() == [
        "blobs: 5MB, 1MB of it of no use",
        "checked 3 blobs, 1 layer (sizes, documents and indexes read): no damage left",
    ]
    assert engine.asked[-1].target == "/lading/v1/fsck"


def test_damage_is_told_with_its_remedy_and_fails(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["POST /lading/v1/fsck"] = report(BAD, damaged=1)
    done = lading("fsck", "--read-data")
    assert done.code == 1
    assert "damage: layer sha256:abc: the index has other bytes" in done.out
    assert "    load or pull web:1 again" in done.out
    assert engine.asked[-1].target == "/lading/v1/fsck?readData=1"


def test_what_was_mended_is_told_and_ends_well(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["POST /lading/v1/fsck"] = report(BAD | {"Repaired": "made anew"})
    done = lading("fsck", "--repair")
    assert done.code == 0
    assert "    mended: made anew" in done.out
    assert engine.asked[-1].target == "/lading/v1/fsck?repair=1"


def test_json_is_the_report_alone(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["POST /lading/v1/fsck"] = report(BAD, damaged=1)
    done = lading("fsck", "--format", "json")
    assert done.code == 1
    assert json.loads(done.out) == report(BAD, damaged=1)["aux"]


def test_an_engine_that_goes_away_is_a_failure(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["POST /lading/v1/fsck"] = {"status": "Verifying"}
    assert lading("fsck").code != 0


@pytest.mark.parametrize(
    ("flags", "query", "last"),
    [
        ((), "", "Total reclaimed space: 5kB"),
        (("--dry-run",), "?dryRun=1", "Reclaimable space: 5kB"),
    ],
)
def test_gc_lists_what_goes(
    engine: CannedEngine, lading: Lading, flags: tuple[str, ...], query: str, last: str
) -> None:
    freed = [{"Kind": "blob", "Name": "sha256:abc", "Size": 5000}]
    answer = {"Freed": freed, "SpaceReclaimed": 5000, "Complete": True}
    engine.answers["POST /lading/v1/gc"] = answer
    done = lading("gc", *flags)
    assert (done.code, done.out.splitlines()) == (0, ["blob sha256:abc (5kB)", last])
    assert engine.asked[-1].target == "/lading/v1/gc" + query


def test_gc_says_when_a_damaged_image_is_in_its_way(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["POST /lading/v1/gc"] = {"Freed": [], "SpaceReclaimed": 0, "Complete": False}
    done = lading("gc")
    assert done.code == 1
    assert "see lading fsck" in done.out
