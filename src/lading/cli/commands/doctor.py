"""``lading doctor``: check this host, and say how to mend it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from lading.cli.client import Client
from lading.cli.command import Command
from lading.cli.faults import Fault, Unreachable
from lading.cli.flags import TEXT, Arguments, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lading.cli.hostchecks import Finding

_DEFAULT_ROOT = "/var/lib/lading"  # as in lading.settings, which is slow to import


def run(arguments: Arguments, client: Client) -> int:
    """Show every finding; 1 when something essential is missing."""
    # Not the given client: a daemon is not started to be looked at.
    daemon, told = _daemon(Client(client.host))
    root = arguments.text("root") or (told or {}).get("DockerRootDir") or _DEFAULT_ROOT
    findings = [*_findings(Path(str(root))), daemon]
    usable = all(finding.state != "problem" for finding in findings)
    form = arguments.text("format")
    if form:
        from lading.cli.rows import formatted

        print(formatted({"Checks": [_shown(f) for f in findings], "Usable": usable}, form))
    else:
        print("\n".join(_lines(findings, usable=usable)))
    return 0 if usable else 1


def _daemon(client: Client) -> tuple[Finding, Mapping[str, Any] | None]:
    """Whether one answers, and what it says of itself."""
    from lading.cli.entry import DEFAULT_HOST
    from lading.cli.hostchecks import GOOD, PROBLEM, WARNING, Finding

    try:
        told = client.get("/info")
    except Unreachable as error:
        if "permission denied" in str(error):
            return Finding("daemon", PROBLEM, str(error), "sudo lading doctor"), None
        if client.host == DEFAULT_HOST:
            return Finding("daemon", GOOD, "none runs; the next command starts it"), None
        detail = f"none answers at {client.host}"
        return Finding("daemon", WARNING, detail, f"lading daemon --host {client.host}"), None
    except Fault as error:
        return Finding("daemon", PROBLEM, str(error)), None
    detail = f"{told['ServerVersion']} answers at {client.host}, using {told['Driver']}"
    return Finding("daemon", GOOD, detail), told


def _findings(root: Path) -> Iterator[Finding]:
    from lading.cli import hostchecks as host
    from lading.cli.netchecks import firewalls, names, networking

    yield host.kernel()
    allowed = host.privilege()
    yield allowed
    yield from host.guarded("cgroups", host.cgroups)
    yield host.monitor()
    if allowed.state == host.GOOD:  # the rest is tried, which others may not
        yield from host.guarded("runtime", host.runtime)
        yield from host.guarded("storage", lambda: host.storage(root))
        yield from host.guarded("network", networking)
        yield from host.guarded("firewall", lambda: firewalls(root))
    yield names()
    yield host.forwarding()
    yield from host.guarded("space", lambda: host.space(root))
    yield host.descriptors()
    yield from host.guarded("programs", host.conveniences)


def _shown(finding: Finding) -> dict[str, str]:
    return {
        "Name": finding.name,
        "State": finding.state,
        "Detail": finding.detail,
        "Remedy": finding.remedy,
    }


def _lines(findings: Iterable[Finding], *, usable: bool) -> Iterator[str]:
    for finding in findings:
        yield f"{finding.state:<9}{finding.name:<18}{finding.detail}"
        if finding.remedy and finding.state != "ok":
            yield f"{'':<9}{'':<18}  mend it: {finding.remedy}"
    yield ""
    yield "This host can run lading." if usable else "This host cannot run lading yet."


COMMANDS = {
    "doctor": Command(
        run,
        "[OPTIONS]",
        example="lading doctor\nlading doctor --format json",
        detail=(
            "It works with and without a daemon, and starts none.  A problem keeps lading from\n"
            "working, a warning makes some of it slower or impossible, a note tells what single\n"
            "commands would need.  The exit code is 1 where there is a problem."
        ),
        flags=(
            Flag("format", TEXT, "Format output: 'json' or a Go template", short="f"),
            Flag("root", TEXT, "Directory that the engine uses or will use", values="files"),
        ),
    )
}
