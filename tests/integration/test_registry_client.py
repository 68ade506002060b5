"""Images between real daemons, Debian's docker-registry, skopeo and podman."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from itertools import pairwise
from pathlib import Path

import pytest

from debian_registry import PASSWORD, USER, DebianRegistry, debian_registry
from engine_daemon import Daemon
from image_box import large_layer
from tiny_registry import Handler, Registry, served

MakeDaemon = Callable[..., Daemon]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianRegistry]:
    with debian_registry(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianRegistry]:
    """One that wants a login."""
    with debian_registry(tmp_path_factory.mktemp("closed"), users=True) as found:
        yield found


class Lading:
    """The command line, as a user has it, against one daemon."""

    def __init__(self, daemon: Daemon, home: Path) -> None:
        self.daemon, self.home = daemon, home

    def __call__(
        self, *words: str, check: int | None = 0, **options: object
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "LADING_HOST": self.daemon.settings.host,
            "DOCKER_CONFIG": str(self.home),
        }
        command = [sys.executable, "-m", "lading", *words]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False,
            **options,  # type: ignore[call-overload]  # subprocess's own
        )  # fmt: skip
        if check is not None:
            assert done.returncode == check, f"lading {' '.join(words)}: {done}"
        return done  # type: ignore[no-any-return]  # follows from the one above


@pytest.fixture
def lading(daemon: Daemon, tmp_path: Path) -> Iterator[Lading]:
    run = Lading(daemon, tmp_path / "docker")
    yield run
    for row in daemon.client.get("/images/json").json():
        for tag in row["RepoTags"]:
            if tag != "busybox:latest":
                daemon.client.delete(f"/images/{tag}", force=1)


def named(run: Lading, host: str, name: str = "some/image:1") -> str:
    """busybox under a name at that registry."""
    whole = f"{host}/{name}"
    run("tag", "busybox", whole)
    return whole


class TestPushAndPull:
    def test_an_image_goes_there_and_comes_back_the_same(
        self, lading: Lading, registry: DebianRegistry
    ) -> None:
        name = named(lading, registry.host)
        pushed = lading("push", name).stdout
        digest = registry.digest("some/image", "1")
        assert f"1: digest: {digest} size:" in pushed
        image = lading("inspect", "-f", "{{.Id}}", name).stdout
        lading("rmi", name)
        pulled = lading("pull", name)
        assert f"Digest: {digest}" in pulled.stdout
        assert f"Status: Downloaded newer image for {name}" in pulled.stdout
        assert pulled.stdout.endswith(f"\n{name}\n")
        assert lading("inspect", "-f", "{{.Id}}", name).stdout == image
        assert "Image is up to date" in lading("pull", name).stdout

    def test_by_digest_too(self, lading: Lading, registry: DebianRegistry) -> None:
        lading("push", named(lading, registry.host))
        digest = registry.digest("some/image", "1")
        by_digest = f"{registry.host}/some/image@{digest}"
        lading("pull", "-q", by_digest)
        assert lading("run", "--rm", by_digest, "echo", "here").stdout == "here\n"
        lading("rmi", by_digest)

    def test_run_pulls_what_is_not_here(self, make_daemon: MakeDaemon, lading: Lading,
                                        registry: DebianRegistry) -> None:  # fmt: skip
        name = named(lading, registry.host, "for/run:2")
        lading("push", "-q", name)
        other = Lading(make_daemon(busybox=False), lading.home)
        assert other("run", "--rm", "--pull", "never", name, "true", check=125).stdout == ""
        done = other("run", "--rm", name, "echo", "hello")
        assert done.stdout == "hello\n"
        assert f"Unable to find image '{name}' locally" in done.stderr
        assert other("run", "--rm", "-q", "--pull", "always", name, "echo", "x").stderr == ""

    def test_every_tag_at_once(self, lading: Lading, registry: DebianRegistry) -> None:
        for tag in ("1", "2", "3"):
            named(lading, registry.host, f"many/tags:{tag}")
        lading("push", "-a", f"{registry.host}/many/tags")
        for tag in ("1", "2", "3"):
            lading("rmi", f"{registry.host}/many/tags:{tag}")
        lading("pull", "-a", f"{registry.host}/many/tags")
        listed = lading("images", "--format", "{{.Tag}}", f"{registry.host}/many/tags").stdout
        assert sorted(listed.split()) == ["1", "2", "3"]
        seen = lading("image", "ls-remote", f"{registry.host}/many/tags").stdout
        assert sorted(seen.split()) == ["1", "2", "3"]

    def test_a_blob_of_another_repository_is_mounted(
        self, lading: Lading, registry: DebianRegistry
    ) -> None:
        lading("push", named(lading, registry.host, "first/one:1"))
        told = lading("push", named(lading, registry.host, "second/one:1")).stdout
        assert "Mounted from first/one" in told or "Mounted from" in told

    def test_what_is_missing_is_told_in_dockers_words(
        self, lading: Lading, registry: DebianRegistry
    ) -> None:
        done = lading("pull", f"{registry.host}/some/image:nope", check=1)
        assert f"manifest for {registry.host}/some/image:nope not found" in done.stderr
        assert "manifest unknown" in done.stderr
        done = lading("push", f"{registry.host}/never/made:1", check=1)
        assert "An image does not exist locally with the tag" in done.stderr
        assert "connection refused" in lading("pull", "127.0.0.1:1/x", check=1).stderr

    def test_the_default_registry_out_of_reach_is_told_soon(self, lading: Lading) -> None:
        began = time.monotonic()
        lading("pull", "some-image-that-nobody-has.invalid/x", check=1)
        assert time.monotonic() - began < 60


class TestLogins:
    def test_a_login_is_tried_kept_used_and_forgotten(
        self, lading: Lading, closed: DebianRegistry
    ) -> None:
        name = named(lading, closed.host)
        assert "no basic auth credentials" in lading("push", name, check=1).stderr
        wrong = lading("login", "-u", USER, "--password-stdin", closed.host, input="x", check=1)
        assert "unauthorized" in wrong.stderr
        done = lading("login", "-u", USER, "--password-stdin", closed.host, input=PASSWORD)
        assert "Login Succeeded" in done.stdout
        assert list(json.loads((lading.home / "config.json").read_text())["auths"]) == [closed.host]
        lading("push", name)
        lading("pull", name)
        assert "some/image" in lading("search", f"{closed.host}/some").stdout
        lading("manifest", "inspect", name)
        assert "Removing login" in lading("logout", closed.host).stdout
        refused = lading("pull", name, check=1).stderr
        assert "authentication required" in refused

    def test_a_login_needs_no_daemon(
        self, closed: DebianRegistry, tmp_path: Path, daemon: Daemon
    ) -> None:
        run = Lading(daemon, tmp_path / "docker")
        environment = {"LADING_HOST": "unix:///nowhere.sock", "DOCKER_CONFIG": str(run.home)}
        done = subprocess.run(
            [sys.executable, "-m", "lading", "login", "-u", USER, "-p", PASSWORD, closed.host],
            env={**os.environ, **environment}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, "Login Succeeded" in done.stdout) == (0, True), done


class TestPeers:
    """Digests are equal everywhere."""

    def test_skopeo_and_podman_read_what_we_push(
        self, lading: Lading, registry: DebianRegistry, tmp_path: Path
    ) -> None:
        lading("push", named(lading, registry.host, "peers/ours:1"))
        name = f"docker://{registry.host}/peers/ours:1"
        copied = f"docker://{registry.host}/peers/theirs:1"
        words = ("copy", "-q", "--preserve-digests", "--src-tls-verify=false")
        _run("skopeo", *words, "--dest-tls-verify=false", name, copied)
        assert registry.digest("peers/theirs", "1") == registry.digest("peers/ours", "1")
        lading("pull", "-q", f"{registry.host}/peers/theirs:1")
        run_root = lading.daemon.directory / "podman"  # podman wants it short
        store = ("--root", str(tmp_path / "podman"), "--runroot", str(run_root))
        store += ("--storage-driver", "vfs")
        image = f"{registry.host}/peers/ours:1"
        _run("podman", *store, "pull", "-q", "--tls-verify=false", image)
        found = _run("podman", *store, "inspect", "-f", "{{.Digest}}", image).strip()
        assert found == registry.digest("peers/ours", "1")
        _run("podman", *store, "push", "-q", "--tls-verify=false", image,
             f"{registry.host}/peers/podman:1")  # fmt: skip
        lading("pull", "-q", f"{registry.host}/peers/podman:1")
        ids = lading("images", "-q", "--no-trunc", f"{registry.host}/peers/*").stdout.split()
        assert len(set(ids)) == 1
        _run("podman", *store, "rmi", "-fa")

    def test_copies_between_all_places_keep_the_digest(
        self, lading: Lading, registry: DebianRegistry, tmp_path: Path
    ) -> None:
        lading("push", named(lading, registry.host, "copy/one:1"))
        digest = registry.digest("copy/one", "1")
        places = (
            f"docker://{registry.host}/copy/one:1",
            f"docker://{registry.host}/copy/two:2",
            f"oci:{tmp_path}/layout:three",
            f"docker-archive:{tmp_path}/image.tar:copy/four:4",
            "copied/five:5",
            f"docker://{registry.host}/copy/six:6",
        )
        for source, target in pairwise(places):
            assert lading("image", "copy", source, target).stdout.strip() == digest
        assert registry.digest("copy/six", "6") == digest
        assert lading("run", "--rm", "copied/five:5", "echo", "here").stdout == "here\n"


def _run(*words: str) -> str:
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done
    return done.stdout


class TestTls:
    def test_a_registry_with_a_root_of_its_own(
        self, lading: Lading, tmp_path: Path, make_certificates: Certificates
    ) -> None:
        """Elsewhere than on loopback it would be refused without the root."""
        certificate, key = make_certificates(tmp_path)
        with debian_registry(tmp_path / "tls", tls=(certificate, key)) as registry:
            name = named(lading, registry.host)
            lading("push", "-q", name)
            lading("pull", "-q", name)


Certificates = Callable[[Path], tuple[Path, Path]]


@pytest.fixture
def make_certificates() -> Certificates:
    def make(folder: Path) -> tuple[Path, Path]:
        certificate, key = folder / "cert.pem", folder / "key.pem"
        _run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", "/CN=registry.test",
             "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out",
             str(certificate))  # fmt: skip
        return certificate, key

    return make


class TestTogether:
    LAYERS = tuple(large_layer(str(number)) for number in range(3))

    def test_several_pulls_of_one_image_are_one_download(self, own_daemon: Daemon) -> None:
        with served() as registry:
            registry.put("some/image", "1", list(self.LAYERS))
            registry.hooks.append(_slowly)
            answers = _pulled_by(own_daemon, registry, 8)
            assert all("error" not in answer[-1] for answer in answers)
            fetched = [each.path for each in registry.requests("GET", "/blobs/")]
            assert len(fetched) == len(set(fetched))

    def test_a_pull_that_its_client_left_ends(self, own_daemon: Daemon) -> None:
        with served() as registry:
            registry.put("some/image", "1", list(self.LAYERS))
            stop = threading.Event()

            def stuck(handler: Handler) -> bool:
                if "/blobs/" in handler.path:
                    stop.wait(0.2)
                return False

            registry.hooks.append(stuck)
            lines = own_daemon.client.stream(
                "POST", "/images/create", fromImage=f"{registry.host}/some/image", tag="1"
            )
            next(lines)
            lines.close()
            stop.set()
            time.sleep(0.5)
            listed = own_daemon.client.get("/images/json").json()
            assert [row["RepoTags"] for row in listed] == [["busybox:latest"]]

    def test_a_daemon_that_is_killed_pulls_the_rest_afterwards(self, own_daemon: Daemon) -> None:
        with served() as registry:
            registry.put("some/image", "1", list(self.LAYERS))
            begun = threading.Event()
            held = threading.Event()

            def hold(handler: Handler) -> bool:
                if "/blobs/" in handler.path:
                    begun.set()
                    held.wait(10)
                return False

            registry.hooks.append(hold)
            pull = threading.Thread(target=_try_pull, args=(own_daemon, registry))
            pull.start()
            assert begun.wait(10)
            own_daemon.kill()
            held.set()
            pull.join()
            registry.hooks.clear()
            own_daemon.start()
            assert "error" not in _pulled_by(own_daemon, registry, 1)[0][-1]


def _slowly(handler: Handler) -> bool:
    if "/blobs/" in handler.path:
        time.sleep(0.3)
    return False


def _pull(daemon: Daemon, registry: Registry) -> list[dict[str, object]]:
    """The lines that one client gets."""
    name = f"{registry.host}/some/image"
    found: list[dict[str, object]] = daemon.client.post(
        "/images/create", fromImage=name, tag="1"
    ).lines()
    return found


def _pulled_by(daemon: Daemon, registry: Registry, count: int) -> list[list[dict[str, object]]]:
    """The lines that so many clients get that pull at the same time."""
    with ThreadPoolExecutor(count) as clients:
        return list(clients.map(lambda number: _pull(daemon, registry), range(count)))


def _try_pull(daemon: Daemon, registry: Registry) -> None:
    with suppress(OSError, HTTPException):  # the daemon is killed meanwhile
        _pull(daemon, registry)
