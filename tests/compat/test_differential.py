"""The same requests to lading and to Docker Engine: the answers differ only where it is said why.

Statuses are the same, and what Docker's answers hold lading's hold too, in the same types.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from compat.both_engines import EVERYTHING, LADING_ALONE, Ask
from compat.differences import DIFFERENCES
from compat.docker_engine import DOCKERD, docker_engine
from compat.shapes import differences
from engine_client import Answer, Client
from engine_daemon import Daemon

NAMES = [ask.name for ask in EVERYTHING]
Pair = tuple[Answer, Answer]


@pytest.fixture(scope="module")
def pairs(_session_daemon: Daemon) -> Iterator[list[Pair]]:
    """What both answer to each request, lading's answer first."""
    if shutil.which(DOCKERD) is None:
        pytest.skip("no dockerd here")
    lading = Client(str(_session_daemon.settings.socket), "v1.41")
    _session_daemon.remove_containers()
    archive = lading.get("/images/busybox/get").body
    with docker_engine() as docker, ThreadPoolExecutor(2) as both:
        loaded = docker.post("/images/load", body=archive)
        assert loaded.status == 200, loaded.body
        told = list(both.map(lambda client: _story(client), (lading, docker)))
        yield list(zip(*told, strict=True))
    _session_daemon.remove_containers()
    _session_daemon.load_busybox()


def _story(client: Client) -> list[Answer]:
    kept: dict[str, str] = {}
    return [_answer(client, ask, kept) for ask in EVERYTHING]


def _answer(client: Client, ask: Ask, kept: dict[str, str]) -> Answer:
    path = ask.path
    for name, value in kept.items():
        path = path.replace(f"{{{name}}}", value)
    headers = dict(ask.headers)
    answer = client.request(
        ask.method, path, content=ask.content, body=ask.body, headers=headers or None
    )
    if ask.keep:
        kept[ask.keep] = str(json.loads(answer.body or b"{}").get("Id", "none"))
    return answer


@pytest.mark.parametrize("number", range(len(EVERYTHING)), ids=NAMES)
def test_both_answer_alike(pairs: list[Pair], number: int) -> None:
    ask, (lading, docker) = EVERYTHING[number], pairs[number]
    found = differences(ask, lading, docker)
    unexplained = [each for each in found if not _is_explained(ask, each)]
    assert not unexplained, f"{docker.body[:500]!r}\n{lading.body[:500]!r}"


def _is_explained(ask: Ask, difference: str) -> bool:
    return any(each.explains(ask.name, difference) for each in DIFFERENCES)


def test_the_story_is_what_it_is_meant_to_be(pairs: list[Pair]) -> None:
    told = {
        ask.name: pair[0].status
        for ask, pair in reversed(list(zip(EVERYTHING, pairs, strict=True)))
    }
    assert told["POST /containers/xx/start"] == 204
    assert told["GET /containers/hh/json"] == told["GET /containers/tt/json"] == 200
    assert told["POST /containers/xx/pause"] == 204
    assert told["DELETE /containers/tt?force=1"] == 204


def test_every_explanation_is_needed(pairs: list[Pair]) -> None:
    found = [
        (ask, each)
        for ask, (lading, docker) in zip(EVERYTHING, pairs, strict=True)
        for each in differences(ask, lading, docker)
    ]
    for known in DIFFERENCES:
        assert any(known.explains(ask.name, each) for ask, each in found), known.where


@pytest.mark.parametrize(("method", "path"), LADING_ALONE)
def test_what_is_not_there_is_refused_clearly(daemon: Daemon, method: str, path: str) -> None:
    answer = daemon.client.request(method, path, content=None if method == "GET" else {})
    if path == "/plugins/privileges":
        assert answer.json() == []
    else:
        assert answer.status in (404, 501)
        assert answer.message
