"""Docker's own clients build with lading, by the classic builder's protocol."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from build_box import BuildBox, context
from engine_daemon import Daemon

Docker = Callable[..., Any]
TEXT = (
    "FROM busybox AS made\nARG V=none\nRUN echo $V > /v\n"
    "FROM busybox\nCOPY --from=made /v /v\nCOPY kept d /x/\n"
    'LABEL who=docker\nENTRYPOINT ["cat"]\nCMD ["/v"]\n'
)


@pytest.fixture
def box(daemon: Daemon) -> Iterator[BuildBox]:
    box = BuildBox(daemon)
    yield box
    box.clear()
    assert box.leavings() == []


@pytest.fixture
def place(tmp_path: Path) -> Path:
    root = tmp_path / "context"
    (root / "d").mkdir(parents=True)
    (root / "Dockerfile").write_text(TEXT)
    (root / "kept").write_text("kept\n")
    (root / "d" / "f").write_text("f\n")
    (root / "d" / "left.log").write_text("left\n")
    (root / ".dockerignore").write_text("**/*.log\n")
    return root


class TestCommand:
    """``docker build`` with BuildKit off."""

    @pytest.fixture(autouse=True)
    def classic(self, box: BuildBox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DOCKER_BUILDKIT", "0")

    def test_it_builds_tags_and_runs(self, docker: Docker, place: Path) -> None:
        done = docker("build", "-t", "a:1", "-t", "b", "--build-arg", "V=seven", str(place))
        assert "Step 1/9 : FROM busybox AS made" in done.stdout
        assert "Successfully tagged a:1\nSuccessfully tagged b:latest\n" in done.stdout
        assert docker("run", "--rm", "a:1").stdout == "seven\n"
        assert docker("run", "--rm", "--entrypoint", "ls", "b", "/x").stdout == "f\nkept\n"
        again = docker("build", "--build-arg", "V=seven", str(place)).stdout
        assert again.count("Using cache") == 7

    def test_a_dockerfile_on_standard_input(self, docker: Docker) -> None:
        done = docker("build", "-q", "-", input="FROM busybox\nRUN echo x > /x\n")
        assert docker("run", "--rm", done.stdout.strip(), "cat", "/x").stdout == "x\n"

    def test_a_failing_command_ends_it_with_its_code(self, docker: Docker, place: Path) -> None:
        (place / "Dockerfile").write_text("FROM busybox\nRUN echo why; exit 6\n")
        done = docker("build", str(place), check=6)
        assert "why" in done.stdout
        assert (
            "The command '/bin/sh -c echo why; exit 6' returned a non-zero code: 6" in done.stderr
        )

    def test_its_flags_are_understood(self, docker: Docker, place: Path, tmp_path: Path) -> None:
        (place / "other").write_text(
            "FROM busybox AS one\nRUN cat /etc/hosts /sys/class/net/*/address; nproc\n"
            "FROM busybox\nRUN false\n"
        )
        done = docker(
            *("build", "-f", str(place / "other"), "--target", "one", "--label", "l=v"),
            *("--add-host", "db:10.9.8.7", "--network", "none", "--memory", "64m"),
            *("--no-cache", "--force-rm", "--shm-size", "16m", "--iidfile", str(tmp_path / "id")),
            *("--ulimit", "nofile=77:77", "--cpuset-cpus", "0", "-t", "flagged", str(place)),
        )
        assert "10.9.8.7\tdb" in done.stdout
        inspected = docker("inspect", "-f", "{{.Config.Labels.l}} {{.Id}}", "flagged").stdout
        assert inspected.split() == ["v", (tmp_path / "id").read_text()]

    def test_cache_is_shown_and_pruned(self, docker: Docker, place: Path) -> None:
        docker("build", "-t", "a", str(place))
        assert "Build Cache" in docker("system", "df").stdout
        assert "Deleted build cache objects" in docker("builder", "prune", "-af").stdout
        assert docker("run", "--rm", "a").stdout == "none\n"  # what an image needs stays


class TestSdk:
    """The docker SDK for Python."""

    @pytest.fixture
    def client(self, box: BuildBox) -> Iterator[Any]:
        docker = pytest.importorskip("docker")
        client = docker.DockerClient(base_url=box.daemon.settings.host)
        yield client
        client.close()

    def test_it_builds_from_a_directory(self, client: Any, place: Path) -> None:
        image, lines = client.images.build(
            path=str(place), tag="sdk:1", buildargs={"V": "x"}, labels={"l": "v"}, rm=True
        )
        assert image.tags == ["sdk:1"]
        assert image.labels == {"who": "docker", "l": "v"}
        assert any("Successfully built" in line.get("stream", "") for line in lines)
        assert client.containers.run("sdk:1", remove=True) == b"x\n"

    def test_it_builds_from_compressed_tars_and_file_objects(self, client: Any) -> None:
        tar = gzip.compress(context("FROM busybox\nCOPY f /f\n", {"f": "x"}))
        image, _ = client.images.build(
            fileobj=io.BytesIO(tar), custom_context=True, encoding="gzip", tag="sdk:2"
        )
        assert client.containers.run(image.id, ["cat", "/f"], remove=True) == b"x"
        image, _ = client.images.build(fileobj=io.BytesIO(b"FROM busybox\nENV A=1\n"))
        assert "A=1" in image.attrs["Config"]["Env"]

    def test_it_is_told_why_a_build_failed(self, client: Any) -> None:
        docker = pytest.importorskip("docker")
        with pytest.raises(docker.errors.BuildError, match="non-zero code: 4"):
            client.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN exit 4\n"))
        with pytest.raises(docker.errors.APIError, match="unknown instruction: FRM"):
            client.images.build(fileobj=io.BytesIO(b"FRM busybox\n"))
