"""The packet rules as text: one table, replaced whole, and ports as elements of maps."""

from __future__ import annotations

from ipaddress import IPv4Network

from lading.network import rules
from lading.network.rules import Bridged, Forward

BRIDGE = Bridged("lading-01234567", IPv4Network("172.17.0.0/16"))
EVERYWHERE = Forward("tcp", "0.0.0.0", 8080, "172.17.0.2", 80)
LOCAL = Forward("udp", "127.0.0.1", 53, "172.17.0.2", 5353)


def test_a_port_on_every_address_is_found_by_the_port_alone() -> None:
    text = rules.publish_text("t", [EVERYWHERE])
    assert text == "add element inet t published { tcp . 8080 : 172.17.0.2 . 80 }\n"


def test_a_port_on_one_address_is_found_by_both() -> None:
    text = rules.publish_text("t", [LOCAL])
    assert text == "add element inet t published_at { 127.0.0.1 . udp . 53 : 172.17.0.2 . 5353 }\n"


def test_what_was_published_is_withdrawn_by_its_key() -> None:
    assert rules.withdraw_text("t", [EVERYWHERE, LOCAL]).splitlines() == [
        "delete element inet t published { tcp . 8080 }",
        "delete element inet t published_at { 127.0.0.1 . udp . 53 }",
    ]


def test_the_table_is_replaced_in_one_transaction() -> None:
    lines = rules.table_text("t", [BRIDGE], [EVERYWHERE]).splitlines()
    assert lines[:3] == ["add table inet t", "delete table inet t", "table inet t {"]
    assert lines[-1] == "add element inet t published { tcp . 8080 : 172.17.0.2 . 80 }"


def test_a_bridge_talks_to_itself_and_to_no_other() -> None:
    other = Bridged("other", IPv4Network("10.0.0.0/24"))
    text = rules.table_text("t", [BRIDGE, other], [])
    assert '"lading-01234567" . "lading-01234567", "other" . "other"' in text
    assert '"lading-01234567" . "other"' not in text


def test_no_bridges_make_empty_sets() -> None:
    assert "elements" not in rules.table_text("t", [], [])


def test_removing_does_not_need_the_table_to_be_there() -> None:
    assert rules.remove_text("t").splitlines() == ["add table inet t", "delete table inet t"]
