"""images, history, rmi and tag: Docker's tables, and what is asked of the engine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest

from canned_engine import CannedEngine

Lading = Callable[..., Any]
A, B, C = ("sha256:" + letter * 64 for letter in "abc")
DIGEST = "sha256:" + "d" * 64


@pytest.fixture(autouse=True)
def images(engine: CannedEngine) -> None:
    now = int(time.time())
    plain = {"Labels": None, "ParentId": "", "SharedSize": -1, "Containers": -1}
    engine.answers["GET /images/json"] = [
        {"Id": A, "Created": now - 7200, "Size": 1234567, **plain,
         "RepoTags": ["busybox:latest", "host:5000/x/y:1"], "RepoDigests": [f"busybox@{DIGEST}"]},
        {"Id": B, "Created": now - 7200, "Size": 0, **plain, "RepoTags": [], "RepoDigests": []},
        {"Id": C, "Created": now - 7200, "Size": 7777777777, **plain,
         "RepoTags": None, "RepoDigests": [f"only@{DIGEST}"]},
    ]  # fmt: skip


def test_an_image_has_a_line_for_each_of_its_names(lading: Lading) -> None:
    assert lading("images").out.splitlines() == [
        "REPOSITORY      TAG       IMAGE ID       CREATED       SIZE",
        "busybox         latest    aaaaaaaaaaaa   2 hours ago   1.23MB",
        "host:5000/x/y   1         aaaaaaaaaaaa   2 hours ago   1.23MB",
        "<none>          <none>    bbbbbbbbbbbb   2 hours ago   0B",
        "only            <none>    cccccccccccc   2 hours ago   7.78GB",
    ]


def test_digests_stand_beside_the_tags_of_their_repository(lading: Lading) -> None:
    ended = lading("images", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}")
    assert ended.out.splitlines()[:2] == [
        f"busybox latest {DIGEST}",
        "host:5000/x/y 1 <none>",
    ]
    assert f"only            <none>    {DIGEST}" in lading("images", "--digests").out


def test_quiet_shows_ids_alone(lading: Lading) -> None:
    assert lading("images", "-q").out.split() == ["a" * 12, "a" * 12, "b" * 12, "c" * 12]
    assert lading("images", "-q", "--no-trunc").out.split()[0] == A


def test_a_name_and_filters_are_for_the_engine_to_apply(
    engine: CannedEngine, lading: Lading
) -> None:
    lading("images", "-a", "--filter", "dangling=true", "busy*")
    query = parse_qs(engine.asked[0].target.partition("?")[2])
    assert query["all"] == ["1"]
    filters = json.loads(query["filters"][0])
    assert filters == {"dangling": ["true"], "reference": ["busy*"]}


def test_a_step_without_a_layer_shows_that_it_has_none(
    engine: CannedEngine, lading: Lading
) -> None:
    long = '/bin/sh -c #(nop)  CMD\t["sh"] and so much more that it is cut'
    engine.answers["GET /images/x/history"] = [
        {"Id": A, "Created": int(time.time()) - 7200, "CreatedBy": long, "Size": 0, "Comment": "c"},
        {"Id": "<missing>", "Created": 0, "CreatedBy": "", "Size": 1234567, "Comment": ""},
    ]
    first, second = lading("history", "x").out.splitlines()[1:]
    assert first.split("   ")[0] == "aaaaaaaaaaaa" and " 0B " in first and "…" in first
    assert second.split() == ["<missing>", "N/A", "1.23MB"]
    assert "that it is cut" in lading("history", "--no-trunc", "x").out
    assert " 1234567 " in lading("history", "-H=false", "x").out
    assert lading("history", "-q", "x").out == "aaaaaaaaaaaa\n<missing>\n"


def test_removing_goes_on_after_an_image_that_stays(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["DELETE /images/a%2Fb:1"] = [{"Untagged": "a/b:1"}, {"Deleted": A}]
    engine.answers["DELETE /images/used"] = (409, {"message": "conflict: it is used"})
    ended = lading("rmi", "used", "a/b:1")
    assert ended.out == f"Untagged: a/b:1\nDeleted: {A}\n"
    assert (ended.code, ended.err) == (1, "lading: conflict: it is used\n")


def test_by_force_an_image_that_is_not_there_is_as_good_as_removed(
    engine: CannedEngine, lading: Lading
) -> None:
    engine.answers["DELETE /images/gone"] = (404, {"message": "No such image: gone"})
    assert lading("rmi", "-f", "gone").code == 0
    assert lading("rmi", "gone").code == 1
    assert "force=1" in engine.asked[0].target


def test_a_tag_is_sent_as_it_was_typed(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["POST /images/busybox/tag"] = (201, b"")
    assert lading("tag", "busybox", "host:5000/a/b:2").code == 0
    assert parse_qs(engine.asked[0].target.partition("?")[2]) == {"repo": ["host:5000/a/b:2"]}


@pytest.mark.parametrize(
    "words",
    [("images", "--tree"), ("rmi", "--no-prune", "x"), ("load", "--platform", "linux/amd64")],
)
def test_what_docker_alone_has_is_refused_by_name(
    words: tuple[str, ...], engine: CannedEngine, lading: Lading
) -> None:
    ended = lading(*words)
    assert ended.code == 125
    assert f"{words[1]} is not supported yet" in ended.err
    assert engine.asked == []
