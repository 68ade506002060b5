"""Commands on the default socket start the daemon: in namespaces where nothing is the user's."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli_story import PROGRAM, eventually
from lading.settings import DEFAULT_HOST, DEFAULT_ROOT, Settings

# Whatever is started there ends with the process namespace, however the test ends.
ALONE = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
BEGIN = """
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /var/lib
ip link set lo up 2>/dev/null || busybox ip link set lo up
"""


@pytest.fixture
def groups() -> Iterator[None]:
    """The control groups of a daemon on the default root are not left behind."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if Path(DEFAULT_HOST.removeprefix("unix://")).exists():
        pytest.skip("a daemon of the user's is there")
    yield
    eventually(lambda: not [group for group in _groups() if not _removed(group)])


def _groups() -> list[Path]:
    """Of the daemon itself, and of its containers."""
    root = Path("/sys/fs/cgroup")
    names = ("lading-daemon", f"lading-{Settings().instance}")
    return [found for name in names for found in (*root.glob(name), *root.glob(f"*/{name}"))]


def _removed(group: Path) -> bool:
    """Remove it; not while the last processes in it are still going."""
    try:
        group.rmdir()
    except OSError:
        return not group.exists()
    return True


def alone(script: str) -> list[str]:
    """The lines that *script* prints in namespaces of its own, with ``$LADING`` the command."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LADING_")}
    done = subprocess.run(
        [*ALONE, "sh", "-c", BEGIN + script],
        env={**environment, "LADING": PROGRAM},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done
    return done.stdout.splitlines()


DAEMONS = "ps -e -o pid= -o sid= -o args= | grep '[l]ading daemon$'"


def test_two_commands_at_once_start_one_daemon(groups: None) -> None:
    lines = alone(f"""
    for i in 1 2 3; do $LADING ps -q & all="$all $!"; done
    for each in $all; do wait $each; done
    {DAEMONS}
    stat -c '%a %F' /run/lading/lading.sock
    daemon=$({DAEMONS} | awk '{{print $1}}')
    grep -c lading-daemon /proc/$daemon/cgroup >/dev/null && echo grouped
    readlink /proc/$daemon/cwd /proc/$daemon/fd/0
    tr '\\0' '\\n' </proc/$daemon/environ | grep -c LADING_HOST || true
    $LADING system reset --force >/dev/null
    for i in $(seq 100); do {DAEMONS} >/dev/null || break; sleep 0.05; done
    {DAEMONS} || echo ended
    [ -e /run/lading/lading.sock ] || echo closed
    """)
    pid, session = lines[0].split()[:2]
    assert pid == session  # a session of its own: no terminal's end reaches it
    assert lines[1:] == ["660 socket", "grouped", "/", "/dev/null", "0", "ended", "closed"]


def test_it_runs_containers_and_comes_back_after_a_crash(groups: None) -> None:
    lines = alone(f"""
    $LADING image bootstrap busybox >/dev/null
    $LADING run --rm busybox echo first
    $LADING run -d --name stays busybox sleep 100 >/dev/null
    kill -9 $({DAEMONS} | awk '{{print $1}}')
    $LADING ps --format '{{{{.Names}}}}'
    $LADING exec stays echo again
    $LADING info --format '{{{{.DockerRootDir}}}}'
    $LADING system reset --force >/dev/null
    """)
    assert lines == ["first", "stays", "again", str(DEFAULT_ROOT)]


def test_without_the_right_to_it_none_is_started(groups: None) -> None:
    lines = alone("""
    setpriv --reuid 65534 --regid 65534 --clear-groups $LADING ps 2>&1 || echo $?
    [ -e /run/lading ] || echo nothing
    """)
    if "Permission denied" in lines[0]:
        pytest.skip("others cannot run the command where it lies")
    assert "run this as root" in lines[0]
    assert lines[1:] == ["1", "nothing"]
