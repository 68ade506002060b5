"""Stop, kill, pause, wait, rename and rm: what is asked for, printed, and answered at the end."""

from __future__ import annotations

import socket
from urllib.parse import parse_qs

import pytest

from canned_engine import Asked, CannedEngine
from command_line import Lading

NOBODY = (404, {"message": "No such container: nobody"})


def query(asked: Asked) -> dict[str, list[str]]:
    return parse_qs(asked.target.partition("?")[2])


@pytest.mark.parametrize("verb", ["kill", "pause", "restart", "stop", "unpause"])
def test_each_container_is_asked_for_and_named(
    verb: str, engine: CannedEngine, lading: Lading
) -> None:
    for name in ("one", "two"):
        engine.answers[f"POST /containers/{name}/{verb}"] = (204, "")
    ended = lading(verb, "one", "two")
    assert (ended.code, ended.out, ended.err) == (0, "one\ntwo\n", "")
    assert {a.target for a in engine.asked} == {
        f"/containers/one/{verb}",
        f"/containers/two/{verb}",
    }


def test_an_error_does_not_keep_the_others_from_being_done(
    engine: CannedEngine, lading: Lading
) -> None:
    engine.answers["POST /containers/nobody/stop"] = NOBODY
    engine.answers["POST /containers/web/stop"] = (204, "")
    ended = lading("stop", "nobody", "web")
    assert (ended.code, ended.out) == (1, "web\n")
    assert ended.err == "lading: No such container: nobody\n"


def test_several_are_done_at_the_same_time(engine: CannedEngine, lading: Lading) -> None:
    import threading

    both = threading.Barrier(2, timeout=5)

    def slowly(asked: Asked, connection: socket.socket) -> None:
        both.wait()  # broken, and with it the answer, unless the other is asked for meanwhile
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    engine.answers |= {f"POST /containers/{n}/stop": slowly for n in ("one", "two")}
    assert lading("stop", "one", "two").out == "one\ntwo\n"


@pytest.mark.parametrize("flag", ["-t", "--timeout", "--time"])
def test_no_time_at_all_is_a_time_to_wait(flag: str, engine: CannedEngine, lading: Lading) -> None:
    engine.answers["POST /containers/web/stop"] = (204, "")
    assert lading("stop", flag, "0", "-s", "INT", "web").code == 0
    assert query(engine.asked[0]) == {"t": ["0"], "signal": ["INT"]}


def test_a_signal_goes_with_a_kill(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["POST /containers/web/kill"] = (204, "")
    lading("kill", "--signal=HUP", "web")
    assert query(engine.asked[0]) == {"signal": ["HUP"]}


def test_names_are_quoted_in_paths(engine: CannedEngine, lading: Lading) -> None:
    lading("stop", "a/../b?c")
    assert engine.asked[0].target == "/containers/a%2F..%2Fb%3Fc/stop"


@pytest.mark.parametrize("name", ["", " ", "/", ".."])
def test_a_name_that_is_none_asks_nothing(name: str, engine: CannedEngine, lading: Lading) -> None:
    assert lading("stop", name).code == 1
    assert not engine.asked


def test_wait_prints_how_each_ends_in_the_order_of_the_names(
    engine: CannedEngine, lading: Lading
) -> None:
    engine.answers["POST /containers/one/wait"] = {"StatusCode": 3}
    engine.answers["POST /containers/two/wait"] = {"StatusCode": 137}
    ended = lading("wait", "one", "two")
    assert (ended.code, ended.out) == (0, "3\n137\n")


def test_wait_tells_what_the_engine_could_not(engine: CannedEngine, lading: Lading) -> None:
    answer = {"StatusCode": 0, "Error": {"Message": "the container is gone"}}
    engine.answers["POST /containers/web/wait"] = answer
    ended = lading("wait", "web")
    assert (ended.code, ended.out, ended.err) == (1, "", "lading: the container is gone\n")


def test_rename_says_nothing(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["POST /containers/web/rename"] = (204, "")
    ended = lading("rename", "web", "old")
    assert (ended.code, ended.out) == (0, "")
    assert engine.asked[0].target == "/containers/web/rename?name=old"


def test_rename_needs_both_names(engine: CannedEngine, lading: Lading) -> None:
    ended = lading("rename", "web", " ")
    assert (ended.code, ended.err) == (1, "lading: Neither old nor new names may be empty\n")
    assert not engine.asked


def test_rm_asks_for_force_and_volumes(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["DELETE /containers/web"] = (204, "")
    assert lading("rm", "-fv", "web").out == "web\n"
    assert query(engine.asked[0]) == {"force": ["1"], "v": ["1"]}


def test_rm_without_flags_asks_for_nothing_more(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["DELETE /containers/web"] = (204, "")
    lading("container", "remove", "web")
    assert engine.asked[0].target == "/containers/web"


def test_rm_force_forgives_what_is_not_there(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["DELETE /containers/nobody"] = NOBODY
    forced = lading("rm", "-f", "nobody")
    assert (forced.code, forced.err) == (0, "lading: No such container: nobody\n")
    assert lading("rm", "nobody").code == 1


def test_rm_force_forgives_nothing_else(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["DELETE /containers/web"] = (500, {"message": "it clings"})
    assert lading("rm", "-f", "web").code == 1


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["rm", "-l", "x"], "--link"),
        (["logs", "--details", "x"], "--details"),
        (["update", "--cpu-rt-period", "1", "x"], "--cpu-rt-period"),
        (["image", "inspect", "--platform", "linux/arm64", "x"], "--platform"),
        (["network", "inspect", "-v", "x"], "--verbose"),
    ],
)
def test_what_docker_has_and_lading_has_not_is_refused_by_name(
    words: list[str], flag: str, engine: CannedEngine, lading: Lading
) -> None:
    ended = lading(*words)
    assert ended.code == 125
    assert flag in ended.err and "is not supported yet" in ended.err
    assert not engine.asked


def test_no_daemon_is_told_once(lading: Lading, engine: CannedEngine) -> None:
    engine.socket_path.rename(engine.socket_path.with_name("elsewhere"))
    ended = lading("stop", "one", "two")
    assert ended.code == 1
    assert ended.err.count("Cannot connect to the lading daemon") == 1
