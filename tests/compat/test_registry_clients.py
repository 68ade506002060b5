"""Skopeo and Podman as clients of the registry: what they push comes back the same."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import image_box
from registry_process import Registry, digest_of

Run = Callable[..., str]
PLAIN = ("--tls-verify=false",)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """A registry with one user, alice, who may do everything in team/."""
    registry = Registry(tmp_path, "--login")
    line = ("user", "--password-stdin", "--right", "pull,push,delete:team/*", "add", "alice")
    assert registry.command(*line, stdin="alice's word").returncode == 0
    registry.start()
    yield registry
    registry.end(signal.SIGKILL)


@pytest.fixture
def run(tmp_path: Path, registry: Registry) -> Run:
    """Run a client whose home is the test's; it must succeed, or fail where that is expected."""
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "REGISTRY_AUTH_FILE": str(home / "auth.json"),
    }

    def run(*words: str, fails: bool = False) -> str:
        if shutil.which(words[0]) is None:
            pytest.skip(f"no {words[0]} here")
        done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=120)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stderr if fails else done.stdout

    return run


@pytest.fixture
def login(run: Run, registry: Registry) -> None:
    run("skopeo", "login", *PLAIN, "-u", "alice", "-p", "alice's word", registry.host)


@pytest.fixture
def layout(tmp_path: Path) -> str:
    """Where an OCI layout with one image of two layers lies, as skopeo names it."""
    made = image_box.Layout()
    layers = [image_box.layer("one"), image_box.layer("two", os.urandom(3 << 20))]
    made.root(made.image(layers), annotations={"org.opencontainers.image.ref.name": "v1"})
    root = tmp_path / "layout"
    for name, content in {**made.members, "index.json": made.index}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return f"oci:{root}:v1"


def digest(run: Run, place: str) -> str:
    """Of the manifest, as its bytes are there."""
    return digest_of(run("skopeo", "inspect", "--raw", *PLAIN, place).encode())


@pytest.mark.usefixtures("login")
class TestSkopeo:
    def test_what_is_pushed_comes_back_the_same(
        self, run: Run, registry: Registry, layout: str, tmp_path: Path
    ) -> None:
        place, back = f"docker://{registry.host}/team/app:v1", f"oci:{tmp_path}/back:v1"
        run("skopeo", "copy", "--dest-tls-verify=false", layout, place)
        run("skopeo", "copy", "--src-tls-verify=false", place, back)
        assert digest(run, layout) == digest(run, place) == digest(run, back)

    def test_docker_schema_2(self, run: Run, registry: Registry, layout: str) -> None:
        place = f"docker://{registry.host}/team/app:docker"
        run("skopeo", "copy", "--format", "v2s2", "--dest-tls-verify=false", layout, place)
        kept = run("skopeo", "inspect", "--raw", *PLAIN, place)
        assert "application/vnd.docker.distribution.manifest.v2+json" in kept

    def test_a_second_repository_gets_its_layers_by_mounting(
        self, run: Run, registry: Registry, layout: str
    ) -> None:
        one, two = (f"docker://{registry.host}/team/{name}:v1" for name in ("one", "two"))
        run("skopeo", "copy", "--dest-tls-verify=false", layout, one)
        run("skopeo", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", one, two)
        assert digest(run, one) == digest(run, two)
        assert '"from":"team/one"' in (registry.root / "audit.log").read_text()

    def test_tags_are_listed_and_images_deleted(
        self, run: Run, registry: Registry, layout: str
    ) -> None:
        place = f"docker://{registry.host}/team/app"
        run("skopeo", "copy", "--dest-tls-verify=false", layout, f"{place}:v1")
        assert '"v1"' in run("skopeo", "list-tags", *PLAIN, place)
        run("skopeo", "delete", *PLAIN, f"{place}:v1")
        assert '"v1"' not in run("skopeo", "list-tags", *PLAIN, place)

    def test_what_one_may_not_do_is_denied(self, run: Run, registry: Registry, layout: str) -> None:
        place = f"docker://{registry.host}/other/app:v1"
        told = run("skopeo", "copy", "--dest-tls-verify=false", layout, place, fails=True)
        assert "denied" in told or "authentication required" in told


def test_a_wrong_password_does_not_log_in(run: Run, registry: Registry) -> None:
    line = ("skopeo", "login", *PLAIN, "-u", "alice", "-p", "nonsense", registry.host)
    assert "invalid username/password" in run(*line, fails=True)


@pytest.mark.usefixtures("login")
def test_podman_pulls_commits_and_pushes(run: Run, registry: Registry, layout: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    directory = tempfile.mkdtemp(prefix="lading-")  # short, or podman refuses it
    storage = (f"--root={directory}/storage", f"--runroot={directory}/run")
    name = f"{registry.host}/team/app"
    run("skopeo", "copy", "--dest-tls-verify=false", layout, f"docker://{name}:v1")
    podman = ("podman", *storage, "--storage-driver=vfs")
    try:
        run(*podman, "pull", *PLAIN, f"{name}:v1")
        run(*podman, "tag", f"{name}:v1", f"{name}:v2")
        run(*podman, "push", *PLAIN, f"{name}:v2")
        assert '"v2"' in run("skopeo", "list-tags", *PLAIN, f"docker://{name}")
    finally:
        run(*podman, "rmi", "--all", "--force")
        shutil.rmtree(directory)
