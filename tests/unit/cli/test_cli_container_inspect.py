"""Inspect finds any kind of thing, and shows it whole or through a template."""

from __future__ import annotations

import json

import pytest

from canned_engine import CannedEngine
from command_line import Lading

CONTAINER = {
    "Id": "c" * 64,
    "Name": "/web",
    "ExecIDs": None,
    "State": {"Status": "running", "Running": True},
    "HostConfig": {"CpuShares": 2, "Dns": ["9.9.9.9"], "Binds": None},
    "Config": {
        "Env": ["A=<b>"],
        "Entrypoint": None,
        "Volumes": None,
        "Labels": {"a.b": "c"},
    },
    "NetworkSettings": {
        "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]},
        "Networks": {"bridge": {"IPAddress": "172.17.0.2"}},
    },
}
IMAGE = {"Id": "sha256:" + "e" * 64, "RepoTags": ["busybox:latest"], "Lading": {"Parent": ""}}


@pytest.fixture
def things(engine: CannedEngine) -> CannedEngine:
    engine.answers |= {
        "GET /containers/web/json": CONTAINER,
        "GET /lading/v1/images/busybox/json": IMAGE,
        "GET /networks/net": {"Name": "net", "Id": "n", "IPAM": {"Config": [{"Subnet": "x"}]}},
        "GET /volumes/vol": {"Name": "vol", "Labels": None},
    }
    return engine


@pytest.mark.parametrize(
    ("name", "field"), [("web", "State"), ("busybox", "Lading"), ("net", "IPAM"), ("vol", "Labels")]
)
def test_a_name_is_looked_for_among_all_kinds(
    name: str, field: str, things: CannedEngine, lading: Lading
) -> None:
    ended = lading("inspect", name)
    assert ended.code == 0
    assert field in json.loads(ended.out)[0]


def test_the_document_is_shown_as_it_is(things: CannedEngine, lading: Lading) -> None:
    out = lading("inspect", "web").out
    assert json.loads(out) == [CONTAINER]
    assert out.startswith('[\n    {\n        "Id": "ccc')
    assert "A=<b>" in out


def test_json_is_one_line(things: CannedEngine, lading: Lading) -> None:
    out = lading("inspect", "-f", "json", "web", "vol").out
    assert out.count("\n") == 1 and " " not in out
    assert len(json.loads(out)) == 2


def test_what_is_missing_is_told_after_what_is_there(things: CannedEngine, lading: Lading) -> None:
    ended = lading("inspect", "nothing", "vol")
    assert (ended.code, ended.err) == (1, "lading: No such object: nothing\n")
    assert json.loads(ended.out)[0]["Name"] == "vol"


def test_nothing_found_is_an_empty_list(things: CannedEngine, lading: Lading) -> None:
    assert lading("inspect", "nothing").out == "[]\n"


def test_one_kind_speaks_in_the_engines_words(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["GET /volumes/web"] = (404, {"message": "get web: no such volume"})
    ended = lading("volume", "inspect", "web")
    assert (ended.code, ended.err) == (1, "lading: get web: no such volume\n")
    assert [a.target for a in engine.asked] == ["/volumes/web"]


def test_a_type_narrows_the_search(things: CannedEngine, lading: Lading) -> None:
    lading("inspect", "--type", "network", "net")
    assert [a.path for a in things.asked] == ["/networks/net"]


def test_an_unknown_type_is_refused(things: CannedEngine, lading: Lading) -> None:
    ended = lading("inspect", "--type", "cargo", "web")
    assert ended.code == 1 and 'unknown type: "cargo"' in ended.err
    assert not things.asked


def test_sizes_are_asked_of_containers_alone(things: CannedEngine, lading: Lading) -> None:
    ended = lading("inspect", "-s", "busybox")
    assert [a.target for a in things.asked] == [
        "/containers/busybox/json?size=1",
        "/lading/v1/images/busybox/json",
    ]
    assert ended.err == "WARNING: --size ignored for image\n"


def test_any_other_error_ends_the_search(things: CannedEngine, lading: Lading) -> None:
    things.answers["GET /containers/vol/json"] = (500, {"message": "it is broken"})
    ended = lading("inspect", "vol")
    assert (ended.code, ended.err) == (1, "lading: it is broken\n")


# What docker 28 prints for the same document.
@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("{{.ID}}", "c" * 64),
        ("{{.Id}}", "c" * 64),
        ("{{.HostConfig.CPUShares}}", "2"),
        ("{{.HostConfig.CpuShares}}", "2"),
        ("{{.HostConfig.DNS}}", "[9.9.9.9]"),
        ("{{.Config.Entrypoint}}", "[]"),
        ("{{len .Config.Entrypoint}}", "0"),
        ("{{json .Config.Entrypoint}}", "null"),
        ("{{.Config.Volumes}}", "map[]"),
        ("{{json .Config.Env}}", '["A=<b>"]'),
        ("{{.State.Health}}", "<nil>"),
        ("{{if .State.Health}}yes{{else}}no{{end}}", "no"),
        ("{{.Config.Labels.nothing}}", "<no value>"),
        ('{{index .Config.Labels "nothing"}}', ""),
        ('{{index .Config.Labels "a.b"}}', "c"),
        ("{{.ExecIDs}}", "[]"),
        ('{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}', "8080"),
        ("{{range $k, $v := .NetworkSettings.Networks}}{{$k}}={{.IPAddress}}{{end}}",
         "bridge=172.17.0.2"),
        ("{{json .State}}", '{"Status":"running","Running":true}'),
    ],
)  # fmt: skip
def test_templates_see_gos_names_and_zero_values(
    template: str, shown: str, things: CannedEngine, lading: Lading
) -> None:
    ended = lading("inspect", "--format", template, "web")
    assert (ended.out, ended.err) == (shown + "\n", "")


@pytest.mark.parametrize("template", ["{{.Nope}}", "{{.State.Health.Status}}"])
def test_a_field_that_is_not_there_is_an_error(
    template: str, things: CannedEngine, lading: Lading
) -> None:
    ended = lading("inspect", "-f", template, "web", "web")
    assert (ended.code, ended.out) == (1, "\n")
    assert ended.err.count("map has no entry for key") == 2


def test_a_wrong_template_asks_nothing(things: CannedEngine, lading: Lading) -> None:
    ended = lading("inspect", "-f", "{{.Id", "web")
    assert ended.code == 64
    assert ended.err == "lading: template parsing error: template: :1: unclosed action\n"
    assert not things.asked
