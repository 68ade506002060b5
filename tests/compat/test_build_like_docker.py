"""The same Dockerfile, built here and by Docker Engine, gives the same files and config."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from build_box import BuildBox
from engine_daemon import Daemon

DOCKER = "/usr/bin/docker"
TEXT = """FROM busybox AS one
ARG V=1
ENV A=$V B="x y"
RUN mkdir /made && echo $A > /made/f && ln -s f /made/l && chown 5:6 /made/f
FROM busybox
LABEL a=1 b="2 3"
WORKDIR /w/x
COPY f g ./
COPY --chown=7:8 d /dd
COPY d/l /link
ADD a.tar.gz /un/
ADD f /newdir/
COPY --from=one /made /made
COPY ["f", "/sp ace"]
RUN rm -rf /w/x/g; touch /late; echo more >> /dd/a
VOLUME /v
EXPOSE 80 53/udp
USER 5:6
HEALTHCHECK --interval=5s CMD true
STOPSIGNAL INT
SHELL ["/bin/sh", "-c"]
ENTRYPOINT exec cat
CMD ["/late"]
ONBUILD RUN true
"""
_OF_THE_ENGINE = ("dev", "proc", "sys", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab")
Run = Callable[..., bytes]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    root = tmp_path / "context"
    (root / "d" / "e").mkdir(parents=True, mode=0o750)
    for name in ("f", "g", "d/a", "d/e/b"):
        (root / name).write_text(f"{name}\n")
    (root / "d" / "l").symlink_to("a")
    (root / "g").chmod(0o600)
    with tarfile.open(root / "a.tar.gz", "w:gz") as tar:
        tar.add(root / "d", "in")
    (root / "Dockerfile").write_text(TEXT)
    return root


@pytest.fixture
def dockerd() -> Iterator[Run]:
    """An engine of its own, without a network; ``dockerd("ps")`` asks it."""
    if shutil.which("dockerd") is None or not Path(DOCKER).exists():
        pytest.skip("Docker Engine is not installed")
    home = Path(tempfile.mkdtemp(prefix="dockerd-"))
    options = ("--bridge", "none", "--iptables=false", "--ip6tables=false")
    with (home / "log").open("wb") as log:
        engine = subprocess.Popen(
            [
                *("dockerd", "--data-root", home / "root", "--exec-root", home / "exec"),
                *("--pidfile", home / "pid", "-H", f"unix://{home}/sock", *options),
            ],
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 60
        while not (home / "sock").exists() or not _answers(home):
            if engine.poll() is not None or time.monotonic() > deadline:
                pytest.skip("Docker Engine does not start here")
            time.sleep(0.1)
        yield _asking(f"unix://{home}/sock")
    finally:
        engine.terminate()
        engine.wait(60)
        shutil.rmtree(home, ignore_errors=True)


def _answers(home: Path) -> bool:
    command = [DOCKER, "-H", f"unix://{home}/sock", "version"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _asking(host: str) -> Run:
    def run(*words: str, **options: Any) -> bytes:
        command = [DOCKER, "-H", host, *words]
        environment = {"DOCKER_BUILDKIT": "0", "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            command, env=environment, capture_output=True, check=True, timeout=120, **options
        )
        return bytes(done.stdout)

    return run


def built(run: Run, place: Path) -> tuple[dict[str, Any], list[tuple[object, ...]]]:
    """The config of what is built, and its files: name, kind, mode, owner, size, target."""
    run("build", "-q", "--network", "none", "-t", "compared", str(place))
    config = json.loads(run("inspect", "-f", "{{json .Config}}", "compared"))
    del config["Image"]  # what a classic builder made its last step on
    container = run("create", "--network", "none", "compared").decode().strip()
    files = run("export", container)
    run("rm", container)
    with tarfile.open(fileobj=io.BytesIO(files)) as tar:
        rows = [
            (m.name, m.type, m.mode & 0o7777, m.uid, m.gid, 0 if m.isdir() else m.size, m.linkname)
            for m in tar
            if not m.name.startswith(_OF_THE_ENGINE) and m.name not in (".", ".dockerenv")
        ]
    return config, sorted(rows)


def test_files_and_config_are_the_same(daemon: Daemon, dockerd: Run, place: Path) -> None:
    box = BuildBox(daemon)
    here = _asking(daemon.settings.host)
    dockerd("load", input=here("save", "busybox"))
    try:
        ours, theirs = built(here, place), built(dockerd, place)
        assert ours[0] == theirs[0]
        assert ours[1] == theirs[1]
    finally:
        box.clear()
