"""lading's own verbs that look over the root: fsck, and gc."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from lading.api import replies
from lading.api.call import Call
from lading.api.image_streams import shows
from lading.api.lines import Emit, stream_lines
from lading.api.router import Route
from lading.engine.fsck import Collected
from lading.engine.fsck_values import Finding, Report


async def fsck(call: Call) -> web.StreamResponse:
    """Check everything; how far that is comes line by line, and the report at last."""
    repair, read_data = call.query.flag("repair"), call.query.flag("readData")
    check = call.engine.fsck.check

    def work(emit: Emit) -> None:
        report = check(shows(emit), repair=repair, read_data=read_data)
        emit({"aux": _report(report)})

    return await stream_lines(call, work)


async def gc(call: Call) -> web.StreamResponse:
    collect = call.engine.fsck.collect
    found = await call.threads.long(collect, dry_run=call.query.flag("dryRun"))
    return replies.json(_collected(found))


def _report(report: Report) -> dict[str, Any]:
    return {
        "Findings": [_finding(finding) for finding in report.findings],
        "Checked": {kind.capitalize(): count for kind, count in report.checked},
        "Usage": [
            {"Kind": use.kind, "Taken": use.taken, "Owned": use.owned} for use in report.usage
        ],
        "ReadData": report.read_data,
        "Damaged": report.damaged,
    }


def _finding(finding: Finding) -> dict[str, str]:
    return {
        "Kind": finding.kind,
        "Subject": finding.subject,
        "Problem": replies.printable(finding.problem),
        "Remedy": finding.remedy,
        "Gravity": finding.gravity.value,
        "Repaired": finding.repaired,
    }


def _collected(found: Collected) -> dict[str, Any]:
    return {
        "Freed": [
            {"Kind": piece.kind, "Name": piece.name, "Size": piece.size} for piece in found.pieces
        ],
        "SpaceReclaimed": sum(piece.size for piece in found.pieces),
        "Complete": found.complete,
    }


ROUTES = (
    Route("POST", "/lading/v1/fsck", fsck),
    Route("POST", "/lading/v1/gc", gc),
)
