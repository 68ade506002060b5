"""Builds against a real daemon, for tests: contexts from a few words, and what came of them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine_daemon import Daemon
from tarball import Tarball

FAILED = -1
_ERRAND = re.compile(r"/containers/[0-9a-f]{40}(/|$)")


@dataclass(frozen=True)
class Outcome:
    """What a build said."""

    lines: list[dict[str, Any]]

    @property
    def image(self) -> str:
        """The ID of what was built; fails where nothing was."""
        found = [line["aux"]["ID"] for line in self.lines if "aux" in line]
        assert found, self.text
        return str(found[-1])

    @property
    def error(self) -> str:
        """Why it failed; fails where it did not."""
        assert "error" in self.lines[-1], self.text
        return str(self.lines[-1]["error"])

    @property
    def code(self) -> int:
        return int(self.lines[-1]["errorDetail"]["code"])

    @property
    def text(self) -> str:
        return "".join(str(line.get("stream", line)) for line in self.lines)

    @property
    def hits(self) -> int:
        return self.text.count("Using cache")


class BuildBox:
    """One daemon's builder; `clear` leaves neither its images nor its cache."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.client = daemon.client

    def build(
        self,
        dockerfile: str,
        files: Mapping[str, str] | Tarball | None = None,
        *,
        secrets: Mapping[str, str] | None = None,
        named: str = "",
        **query: Any,
    ) -> Outcome:
        """Build by the classic API, by the Dockerfile *named* so, whatever comes of it."""
        if named:
            query["dockerfile"] = named
        if secrets:
            query["parcel"] = self.parcel({"Secrets": _encoded(secrets)})
        answer = self.client.post("/build", body=context(dockerfile, files), **query)
        if answer.status != 200:
            return Outcome([{"error": answer.message, "errorDetail": {"code": FAILED}}])
        return Outcome(answer.lines())

    def parcel(self, content: dict[str, Any]) -> str:
        answer = self.client.post("/lading/v1/build/parcel", content=content)
        assert answer.status == 201, answer.body
        return str(answer.json()["Word"])

    def run(self, image: str, script: str) -> str:
        """What a shell in a container of the image prints."""
        words = ("run", "--rm", "--entrypoint", "sh", image, "-c", script)
        done = self.daemon.lading(*words)
        assert done.returncode == 0, done
        return str(done.stdout)

    def inspect(self, image: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"/images/{image}/json").json()
        return found

    def layers(self, image: str) -> list[str]:
        """The diff IDs of the image's layers."""
        return list(self.inspect(image)["RootFS"]["Layers"])

    def history(self, image: str) -> list[str]:
        """How each step is told of, the first one first."""
        rows = self.client.get(f"/images/{image}/history").json()
        return [row["CreatedBy"] for row in reversed(rows)]

    def images(self) -> list[dict[str, Any]]:
        return list(self.client.get("/images/json", all=1).json())

    def cache(self) -> list[dict[str, Any]]:
        return list(self.client.get("/system/df").json()["BuildCache"])

    def prune(self) -> None:
        answer = self.client.post("/build/prune", all=1)
        assert answer.status == 200, answer.body

    def clear(self) -> None:
        for image in self.images():
            if "busybox:latest" not in (image["RepoTags"] or ()):
                self.client.delete(f"/images/{image['Id']}", force=1)
        self.prune()

    def leavings(self) -> list[str]:
        """What builds may not leave: work, mounts, containers' folders."""
        root = self.daemon.settings.root
        table = Path("/proc/self/mountinfo").read_text().splitlines()
        mounted = [line.split()[4] for line in table]
        found = [each for each in mounted if each.startswith(f"{root}/build/")]
        found += [each for each in mounted if _ERRAND.search(each)]
        found += [str(path) for path in (root / "build" / "work").iterdir()]
        folders = [str(path) for path in (root / "containers").iterdir()]
        return found + [each for each in folders if _ERRAND.search(each)]


def context(dockerfile: str, files: Mapping[str, str] | Tarball | None = None) -> bytes:
    """A context's tar."""
    tar = files if isinstance(files, Tarball) else Tarball()
    if isinstance(files, Mapping):
        for name, text in files.items():
            tar.file(name, text.encode())
    if dockerfile:
        tar.file("Dockerfile", dockerfile.encode())
    return tar.content


def _encoded(secrets: Mapping[str, str]) -> dict[str, str]:
    return {key: base64.b64encode(value.encode()).decode() for key, value in secrets.items()}


def as_json(value: Any) -> str:
    """A query's value that is JSON."""
    return json.dumps(value)
