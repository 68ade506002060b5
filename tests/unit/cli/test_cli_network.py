"""Networks: what is asked of the engine, and what is told of its answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from canned_engine import CannedEngine

Lading = Callable[..., Any]
MADE = {"Id": "f" * 64}


def body(engine: CannedEngine, number: int = 0) -> Any:
    return json.loads(engine.asked[number].body)


def test_a_network_is_made_and_its_id_told(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["POST /networks/create"] = (201, MADE)
    assert lading("network", "create", "back").out == f"{'f' * 64}\n"
    asked = body(engine)
    assert (asked["Name"], asked["Driver"], asked["IPAM"]["Config"]) == ("back", "bridge", [])


def test_what_lies_in_a_subnet_is_asked_with_it(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["POST /networks/create"] = (201, MADE)
    lading(
        *("network", "create", "--internal", "-o", "com.docker.network.driver.mtu=1400"),
        *("--label", "a=b", "--subnet", "10.8.0.0/24", "--gateway", "10.8.0.9"),
        *("--ip-range", "10.8.0.128/25", "--aux-address", "printer=10.8.0.7", "back"),
    )
    asked = body(engine)
    assert asked["Internal"] is True and asked["Labels"] == {"a": "b"}
    assert asked["Options"] == {"com.docker.network.driver.mtu": "1400"}
    assert asked["IPAM"]["Config"] == [
        {
            "Subnet": "10.8.0.0/24",
            "IPRange": "10.8.0.128/25",
            "Gateway": "10.8.0.9",
            "AuxiliaryAddresses": {"printer": "10.8.0.7"},
        }
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--gateway 10.8.0.1", "no subnet is given for gateway 10.8.0.1"),
        ("--subnet 10.8.0.0/24 --gateway 10.9.0.1", "no matching subnet for gateway 10.9.0.1"),
        (
            "--subnet 10.8.0.0/24 --gateway 10.8.0.1 --gateway 10.8.0.2",
            "cannot configure multiple gateways on the same subnet (10.8.0.0/24)",
        ),
        ("--ingress", "--ingress"),
    ],
)
def test_what_cannot_be_is_not_asked(
    words: str, told: str, engine: CannedEngine, lading: Lading
) -> None:
    ended = lading("network", "create", *words.split(), "back")
    assert ended.code != 0 and told in ended.err
    assert engine.asked == []


def test_a_container_is_connected_as_it_is_asked(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["POST /networks/back/connect"] = (200, b"")
    lading("network", "connect", "--alias", "db", "--ip", "10.8.0.5", "back", "web")
    asked = body(engine)
    assert asked["Container"] == "web"
    assert asked["EndpointConfig"]["Aliases"] == ["db"]
    assert asked["EndpointConfig"]["IPAMConfig"]["IPv4Address"] == "10.8.0.5"


def test_a_container_is_disconnected(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["POST /networks/back/disconnect"] = (200, b"")
    assert lading("network", "disconnect", "-f", "back", "web").code == 0
    assert body(engine) == {"Container": "web", "Force": True}


def test_every_network_named_is_removed(engine: CannedEngine, lading: Lading) -> None:
    gone = (404, {"message": "network gone not found"})
    engine.answers |= {"DELETE /networks/back": (204, b""), "DELETE /networks/gone": gone}
    ended = lading("network", "rm", "back", "gone")
    assert (ended.code, ended.out) == (1, "back\n")
    assert ended.err == "lading: network gone not found\n"
    assert lading("network", "rm", "-f", "gone").code == 0


def test_prune_tells_which_networks_went(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["POST /networks/prune"] = {"NetworksDeleted": ["back"]}
    assert lading("network", "prune", "-f").out == "Deleted Networks:\nback\n\n"


def test_a_link_is_asked_of_the_network_it_is_on(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["POST /containers/create"] = (201, {"Id": "c" * 64, "Warnings": []})
    lading("create", "--network", "back", "--link", "db:base", "image")
    assert body(engine)["HostConfig"]["Links"] == ["db:base"]
    assert body(engine)["NetworkingConfig"]["EndpointsConfig"]["back"]["Links"] == ["db:base"]


@pytest.mark.parametrize("spec", ["name=back,alias=db,ip=10.8.0.5", "back:alias=db,ip=10.8.0.5"])
def test_what_is_asked_of_a_network_stands_behind_its_name(
    spec: str, engine: CannedEngine, lading: Lading
) -> None:
    engine.answers["POST /containers/create"] = (201, {"Id": "c" * 64, "Warnings": []})
    lading("create", "--network", spec, "image")
    asked = body(engine)["NetworkingConfig"]["EndpointsConfig"]["back"]
    assert asked == {"IPAMConfig": {"IPv4Address": "10.8.0.5"}, "Aliases": ["db"]}
