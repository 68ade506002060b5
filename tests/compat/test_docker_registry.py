"""Docker's own command shares images through lading's socket."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from debian_registry import PASSWORD, USER, DebianRegistry, debian_registry
from engine_daemon import Daemon

Docker = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianRegistry]:
    with debian_registry(tmp_path_factory.mktemp("registry"), users=True) as found:
        yield found


@pytest.fixture
def name(docker: Docker, registry: DebianRegistry) -> Iterator[str]:
    """busybox by a name at the registry, logged in there."""
    login = ("login", "-u", USER, "--password-stdin", registry.host)
    assert "Login Succeeded" in docker(*login, input=PASSWORD).stdout
    name = f"{registry.host}/some/image:1"
    docker("tag", "busybox", name)
    yield name
    docker("rmi", name, check=None)
    docker("logout", registry.host)


def test_push_and_pull(docker: Docker, name: str) -> None:
    pushed = docker("push", name).stdout
    assert "The push refers to repository" in pushed
    digest = pushed.partition("digest: ")[2].split()[0]
    docker("rmi", name)
    pulled = docker("pull", name).stdout
    assert f"Digest: {digest}" in pulled
    assert f"Status: Downloaded newer image for {name}" in pulled
    assert pulled.endswith(f"{name}\n")
    assert digest in docker("images", "--digests", name.rpartition(":")[0]).stdout


def test_run_pulls_first(docker: Docker, name: str) -> None:
    docker("push", "-q", name)
    docker("rmi", name)
    done = docker("run", "--rm", name, "echo", "hello")
    assert done.stdout == "hello\n"
    assert f"Unable to find image '{name}' locally" in done.stderr


def test_without_a_login_neither_is_done(
    docker: Docker, name: str, registry: DebianRegistry
) -> None:
    docker("push", "-q", name)
    docker("logout", registry.host)
    assert "authentication required" in docker("push", name, check=1).stderr
    assert "authentication required" in docker("pull", name, check=1).stderr


def test_a_wrong_login_is_refused(docker: Docker, registry: DebianRegistry) -> None:
    login = ("login", "-u", USER, "--password-stdin", registry.host)
    assert "unauthorized" in docker(*login, input="wrong", check=1).stderr.lower()


def test_search_and_what_a_registry_has(
    docker: Docker, name: str, registry: DebianRegistry, daemon: Daemon
) -> None:
    docker("push", "-q", name)
    found = daemon.client.get(f"/distribution/{name}/json", headers=_login(registry))
    assert found.json()["Platforms"] == [{"architecture": "amd64", "os": "linux"}]
    assert "some/image" in docker("search", f"{registry.host}/image").stdout


def _login(registry: DebianRegistry) -> dict[str, str]:
    from lading.registry.credentials import Credentials, to_header

    header = to_header(Credentials(USER, PASSWORD), registry.host)
    return {"X-Registry-Auth": header}


def test_the_docker_sdk_pulls_and_pushes(name: str, daemon: Daemon) -> None:
    sdk = pytest.importorskip("docker")
    client = sdk.DockerClient(base_url=daemon.settings.host)
    try:
        login = {"username": USER, "password": PASSWORD}
        repository, _, tag = name.rpartition(":")
        lines = list(client.images.push(repository, tag=tag, auth_config=login, stream=True,
                                        decode=True))  # fmt: skip
        assert lines[-1]["aux"]["Tag"] == tag
        client.images.remove(name)
        assert name in client.images.pull(repository, tag=tag, auth_config=login).tags
        assert client.images.get_registry_data(name, auth_config=login).has_platform("linux/amd64")
    finally:
        client.close()


def test_an_archive_of_many_tags_goes_at_once(
    docker: Docker, name: str, registry: DebianRegistry, tmp_path: Path
) -> None:
    repository = name.rpartition(":")[0]
    docker("tag", name, f"{repository}:2")
    docker("push", "-a", "-q", repository)
    docker("rmi", f"{repository}:2", name)
    docker("pull", "-a", "-q", repository)
    tags = docker("images", "--format", "{{.Tag}}", repository).stdout.split()
    assert {"1", "2"} <= set(tags)
    docker("rmi", f"{repository}:2")
