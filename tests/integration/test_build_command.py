"""``lading build`` as users type it: contexts, Dockerfiles anywhere, outputs, and what is told."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_box import BuildBox, context
from cli_story import Story
from engine_daemon import Daemon

FILES = {
    "Dockerfile": "FROM busybox\nARG V=0\nCOPY . /x/\nRUN echo v=$V; ls /x > /l\n",
    "kept": "kept\n",
    "left.log": "left\n",
    "d/left.log": "left\n",
    ".dockerignore": "**/*.log\nDockerfile\n.dockerignore\n",
}


@pytest.fixture
def box(daemon: Daemon) -> Iterator[BuildBox]:
    box = BuildBox(daemon)
    yield box
    box.clear()
    assert box.leavings() == []


@pytest.fixture
def lading(box: BuildBox) -> Story:
    return Story(box.daemon)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A context."""
    root = tmp_path / "context"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_steps_on_standard_error_and_a_table_at_the_end(lading: Story, place: Path) -> None:
    done = lading("build", "-t", "a:1", "-t", "b", "--build-arg", "V=7", str(place))
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0] == "[1/4] FROM busybox"
    assert "v=7" in lines
    assert "[4/4] RUN echo v=$V; ls /x > /l" in lines
    titles = next(line for line in lines if line.startswith("STEP"))
    assert titles.split() == ["STEP", "SIZE", "TIME", "CACHED"]
    assert lines[-1].endswith("as a:1 b:latest")
    assert "CACHED" in lading("build", "--build-arg", "V=7", str(place)).stderr


def test_quiet_prints_the_id_and_a_file_holds_it(
    lading: Story, place: Path, tmp_path: Path
) -> None:
    file = tmp_path / "id"
    done = lading("build", "-q", "--iidfile", str(file), "-t", "a", str(place))
    assert done.stderr == ""
    assert done.stdout.strip() == file.read_text()
    assert lading.out("inspect", "-f", "{{.Id}}", "a") == file.read_text()


def test_what_is_ignored_is_not_sent(lading: Story, place: Path) -> None:
    lading("build", "-t", "a", str(place))
    assert lading.out("run", "--rm", "a", "cat", "/l") == "d\nkept"
    (place / "Dockerfile.dockerignore").write_text("*\n!left.log\n")
    lading("build", "-t", "a", str(place))
    assert lading.out("run", "--rm", "a", "cat", "/l") == "left.log"


def test_the_dockerfile_may_lie_anywhere(lading: Story, place: Path, tmp_path: Path) -> None:
    other = tmp_path / "Other"
    other.write_text("FROM busybox\nCOPY kept /k\n")
    lading("build", "-f", str(other), "-t", "a", str(place))
    assert lading.out("run", "--rm", "a", "cat", "/k") == "kept"
    lading("build", "-f", "-", "-t", "b", str(place), input="FROM a\nRUN echo in > /in\n")
    assert lading.out("run", "--rm", "b", "cat", "/in") == "in"


def test_standard_input_is_a_tar_or_a_dockerfile(lading: Story, box: BuildBox) -> None:
    lading("build", "-t", "a", "-", input="FROM busybox\nRUN echo x > /x\n")
    assert lading.out("run", "--rm", "a", "cat", "/x") == "x"
    tar = context("FROM busybox\nCOPY f /f\n", {"f": "from a tar\n"})
    lading.raw("build", "-t", "b", "-", input=tar)
    assert lading.out("run", "--rm", "b", "cat", "/f") == "from a tar"


def test_secrets_come_from_files_and_variables(lading: Story, place: Path, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("of a file")
    (place / "Dockerfile").write_text(
        "FROM busybox\nRUN --mount=type=secret,id=f --mount=type=secret,id=V"
        " cat /run/secrets/f /run/secrets/V | wc -c\n"
    )
    secrets = ("--secret", f"id=f,src={tmp_path / 's'}", "--secret", "id=V,env=OF_ENV")
    done = lading("build", *secrets, str(place), env={"OF_ENV": "12345"})
    assert "14" in done.stderr.splitlines()
    assert "of a file" not in done.stderr


def test_a_failing_command_ends_with_its_code(lading: Story, place: Path) -> None:
    (place / "Dockerfile").write_text("FROM busybox\nRUN echo words; exit 7\n")
    done = lading("build", "-t", "a", str(place), check=7)
    assert "words" in done.stderr.splitlines()
    assert "Dockerfile:2: RUN echo words; exit 7" in done.stderr
    assert "To look around where it failed: lading run --rm -it" in done.stderr
    assert done.stderr.splitlines()[-1] == (
        "lading: The command '/bin/sh -c echo words; exit 7' returned a non-zero code: 7"
    )


def test_check_says_what_is_dubious_and_builds_nothing(lading: Story, place: Path) -> None:
    assert "no warnings found" in lading("build", "--check", str(place)).stdout
    (place / "Dockerfile").write_text("FROM busybox as a\nMAINTAINER me\nRUN exit 1\n")
    done = lading("build", "--check", str(place), check=1)
    assert "Dockerfile:1: FromAsCasing" in done.stdout
    assert "Dockerfile:2: MaintainerDeprecated" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--ssh", "default", "."), "--ssh is not supported yet"),
        (("--cache-to", "type=local", "."), "--cache-to is not supported yet"),
        (("--cache-from", "x", "."), "--cache-from is not supported yet"),
        (("/none/such",), "path not found"),
        (("https://example.com/x.git",), "remote contexts are not supported yet"),
        (("-f", "/none/Dockerfile", "/"), "failed to read dockerfile"),
        (("-f", "-", "-"), "can't use stdin for both"),
        (("--output", "type=zip", "/"), "invalid output"),
        (("--secret", "src=x", "/"), "invalid secret"),
        (("--progress", "nice", "/"), "invalid progress mode"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    lading: Story, words: tuple[str, ...], told: str, place: Path
) -> None:
    words = tuple(str(place) if word == "/" else word for word in words)
    done = lading.daemon.lading("build", *words)
    assert done.returncode != 0
    assert told in done.stderr


class TestOutputs:
    def test_a_directory_and_a_tar_hold_the_files(
        self, lading: Story, place: Path, tmp_path: Path
    ) -> None:
        (place / "Dockerfile").write_text(
            "FROM busybox AS b\nRUN mkdir /o; echo x > /o/f; chown 5:6 /o/f; chmod 4711 /o/f\n"
            "FROM scratch\nCOPY --from=b /o /\n"
        )
        before = lading.out("images", "-aq")
        lading("build", "-o", str(tmp_path / "out"), str(place))
        found = (tmp_path / "out" / "f").stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (5, 6, 0o4711)
        assert sorted(os.listdir(tmp_path / "out")) == ["f"]
        lading("build", "-o", f"type=tar,dest={tmp_path / 'o.tar'}", str(place))
        with tarfile.open(tmp_path / "o.tar") as tar:
            assert [name for name in tar.getnames() if name != "."] == ["f"]
        assert lading.raw("build", "-q", "-o", "-", str(place))[257:262] == b"ustar"
        assert lading.out("images", "-aq") == before

    @pytest.mark.parametrize("kind", ["oci", "docker"])
    def test_archives_are_read_by_others(
        self, lading: Story, place: Path, tmp_path: Path, kind: str
    ) -> None:
        archive = tmp_path / "a.tar"
        lading("build", "-t", "a:1", "-o", f"type={kind},dest={archive}", str(place))
        form = "docker-archive" if kind == "docker" else "oci-archive"
        shown = subprocess.run(
            ["skopeo", "inspect", "--config", f"{form}:{archive}"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert any("echo v=" in step["created_by"] for step in json.loads(shown)["history"])


def test_builder_prune_says_what_went(lading: Story, place: Path) -> None:
    lading("build", "-q", str(place))
    lading("image", "prune", "-f")
    out = lading.out("builder", "prune", "-f")
    assert "Deleted build cache objects:" in out
    assert "Total reclaimed space: 0B" not in out
    assert lading.out("system", "df", "--format", "{{.Type}} {{.TotalCount}}").endswith("Cache 0")


def test_a_terminal_is_drawn_on(lading: Story, place: Path) -> None:
    with lading.terminal("build", "-t", "a", str(place)) as screen:
        text = screen.until("as a:latest")
    assert "[1/4] FROM busybox" in text
    assert "\x1b[K" in text
