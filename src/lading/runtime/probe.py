"""Whether an OCI runtime works on this host, found out by having it make a container.

The container has an empty root, so its command is not found; a runtime that gets as far as
saying so has made the namespaces, the mounts and the control groups.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from lading.linux.cgroups import Hierarchies
from lading.runtime import bundle
from lading.runtime.failures import last_error
from lading.runtime.resources import Resources
from lading.runtime.spec import ProcessRequest, SpecRequest, spec

_COMMAND = "/lading-probe"
_SECONDS = 20.0
_MEMORY = 64 * 1024 * 1024


def problem(path: str, run_root: Path, hierarchies: Hierarchies, parent: str) -> str | None:
    """Why the runtime at *path* is of no use here; None when it works."""
    run_root.mkdir(mode=0o710, parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="probe", dir=run_root))
    cgroup = f"{parent}/{directory.name}"
    try:
        said = _said(path, directory, _request(directory, hierarchies, cgroup))
    finally:
        hierarchies.group(cgroup).destroy()
        shutil.rmtree(directory, ignore_errors=True)
    return None if _COMMAND in said or "executable file" in said else said


def _request(directory: Path, hierarchies: Hierarchies, cgroup: str) -> SpecRequest:
    rootfs = directory / "rootfs"
    rootfs.mkdir()
    return SpecRequest(
        process=ProcessRequest(argv=(_COMMAND,)),
        rootfs=str(rootfs),
        resources=Resources(memory=_MEMORY, pids=64),
        cgroup_path=cgroup,
        cgroup_layout=hierarchies.layout,
    )


def _said(path: str, directory: Path, request: SpecRequest) -> str:
    """What the runtime complains of."""
    log = directory / "log"
    bundle.write(directory, spec(request))
    state = f"--root={directory / 'state'}"
    command = [path, state, f"--log={log}", "--log-format=json", "create", f"--bundle={directory}"]
    try:
        done = subprocess.run(
            [*command, directory.name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return last_error(log) or f"exit code {done.returncode}, and no reason"
