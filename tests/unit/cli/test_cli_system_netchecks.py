"""The checks of doctor that look at other firewalls."""

from __future__ import annotations

from typing import Any

from lading.cli.netchecks import verdict

OURS = {"family": "inet", "table": "lading-0", "name": "forward", "hook": "forward"}
DOCKERS = {"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward"}
USERS = {"family": "ip", "table": "filter", "name": "DOCKER-USER"}


def chain(like: dict[str, Any], policy: str) -> dict[str, Any]:
    return {**like, "policy": policy}


def test_a_host_that_lets_packets_pass_is_fine() -> None:
    assert verdict([chain(OURS, "accept"), chain(DOCKERS, "accept")], "0").state == "ok"
    assert verdict([{**chain(DOCKERS, "drop"), "hook": "input"}], "0").state == "ok"


def test_docker_s_drop_is_told_with_the_rules_that_spare_our_bridges() -> None:
    found = verdict([chain(DOCKERS, "drop"), USERS], "0badcafe")
    assert found.state == "warning" and "ip filter FORWARD" in found.detail
    assert "'lading-0badcafe+' 'b0badcafe+'" in found.remedy
    assert "iptables -I DOCKER-USER" in found.remedy


def test_without_docker_s_chain_the_rules_go_before_the_others() -> None:
    assert "-I FORWARD" in verdict([chain(DOCKERS, "drop")], "0").remedy
