"""Commit, export and update: what is asked of the engine, and what the user is told."""

from __future__ import annotations

import json
import os
import pty
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from canned_engine import Asked, CannedEngine
from command_line import Lading

MADE = {
    "Id": "sha256:" + "f" * 64,
    "PausedMs": 12,
    "NotIncluded": [
        {"Kind": "volume", "Name": "site", "Destination": "/data", "Size": 1_240_000},
        {"Kind": "network", "Name": "back", "Destination": ""},
    ],
}


def query(asked: Asked) -> dict[str, list[str]]:
    return parse_qs(asked.target.partition("?")[2])


class TestCommit:
    @pytest.fixture(autouse=True)
    def committing(self, engine: CannedEngine) -> None:
        engine.answers["POST /lading/v1/commit"] = (201, MADE)

    def test_the_id_alone_is_on_stdout(self, lading: Lading) -> None:
        ended = lading("commit", "web", "snap:1")
        assert (ended.code, ended.out) == (0, MADE["Id"] + "\n")

    def test_what_stays_behind_is_on_stderr_with_its_size(self, lading: Lading) -> None:
        assert lading("commit", "web").err == (
            "paused for 12 ms\n"
            "the image does not contain:\n"
            "  volume    site      /data     1.24MB\n"
            "  network   back\n"
        )

    def test_a_whole_image_says_so_by_silence(self, engine: CannedEngine, lading: Lading) -> None:
        engine.answers["POST /lading/v1/commit"] = (201, {"Id": "sha256:ff", "NotIncluded": []})
        assert lading("commit", "web").err == "not paused\n"

    def test_it_pauses_by_default(self, engine: CannedEngine, lading: Lading) -> None:
        lading("commit", "web", "snap:1")
        assert query(engine.asked[0]) == {
            "container": ["web"],
            "repo": ["snap:1"],
            "pause": ["1"],
        }

    @pytest.mark.parametrize("flag", ["--no-pause", "--pause=false", "-p=false"])
    def test_it_does_not_pause_when_told_so(
        self, flag: str, engine: CannedEngine, lading: Lading
    ) -> None:
        lading("commit", flag, "web")
        assert query(engine.asked[0])["pause"] == ["0"]

    def test_flags_become_the_query(self, engine: CannedEngine, lading: Lading) -> None:
        lading("commit", "-a", "me", "-m", "why", "-c", "CMD [\"sh\"]", "--change", "ENV A=b",
               "--strict", "web")  # fmt: skip
        asked = query(engine.asked[0])
        assert (asked["author"], asked["comment"], asked["strict"]) == (["me"], ["why"], ["1"])
        assert asked["changes"] == ['CMD ["sh"]', "ENV A=b"]

    def test_a_refusal_is_an_error(self, engine: CannedEngine, lading: Lading) -> None:
        engine.answers["POST /lading/v1/commit"] = (409, {"message": "would not contain volume"})
        ended = lading("commit", "--strict", "web")
        assert (ended.code, ended.out, ended.err) == (1, "", "lading: would not contain volume\n")


class TestExport:
    @pytest.fixture(autouse=True)
    def exporting(self, engine: CannedEngine) -> None:
        engine.answers["GET /containers/web/export"] = "a tar"

    def test_the_archive_goes_to_stdout(self, lading: Lading) -> None:
        assert lading("export", "web").out == "a tar"

    def test_the_archive_goes_to_a_file(self, lading: Lading, tmp_path: Path) -> None:
        ended = lading("export", "-o", f"{tmp_path}/web.tar", "web")
        assert (ended.code, ended.out) == (0, "")
        assert (tmp_path / "web.tar").read_text() == "a tar"

    def test_a_failure_leaves_no_file(
        self, engine: CannedEngine, lading: Lading, tmp_path: Path
    ) -> None:
        assert lading("export", "-o", f"{tmp_path}/no.tar", "nobody").code == 1
        assert not (tmp_path / "no.tar").exists()

    def test_a_directory_that_is_not_there_asks_nothing(
        self, engine: CannedEngine, lading: Lading, tmp_path: Path
    ) -> None:
        ended = lading("export", "-o", f"{tmp_path}/no/web.tar", "web")
        assert ended.code == 1
        assert ended.err.startswith("lading: failed to export container: invalid output path")
        assert not engine.asked

    def test_a_terminal_is_refused(self, engine: CannedEngine, lading: Lading) -> None:
        ours, terminal = pty.openpty()
        kept = os.dup(1)
        os.dup2(terminal, 1)
        try:
            ended = lading("export", "web")
        finally:
            os.dup2(kept, 1)
            for each in (ours, terminal, kept):
                os.close(each)
        assert ended.code == 1
        assert "cowardly refusing to save to a terminal" in ended.err
        assert not engine.asked


class TestUpdate:
    def test_only_what_was_asked_for_is_sent(self, engine: CannedEngine, lading: Lading) -> None:
        engine.answers["POST /containers/web/update"] = {"Warnings": ["no swap here"]}
        ended = lading("update", "-m", "512m", "--memory-swap=-1", "--cpus", "1.5",
                       "--restart", "on-failure:3", "web")  # fmt: skip
        assert (ended.code, ended.out, ended.err) == (0, "web\n", "no swap here\n")
        assert json.loads(engine.asked[0].body) == {
            "Memory": 512 << 20,
            "MemorySwap": -1,
            "NanoCpus": 1_500_000_000,
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
        }

    def test_nothing_to_change_is_an_error(self, engine: CannedEngine, lading: Lading) -> None:
        ended = lading("update", "web")
        assert ended.code == 1
        assert ended.err == "lading: you must provide one or more flags when using this command\n"
        assert not engine.asked

    def test_a_wrong_policy_asks_nothing(self, engine: CannedEngine, lading: Lading) -> None:
        assert lading("update", "--restart", "on-failure:often", "web").code == 1
        assert not engine.asked
