"""What the name servers are told: who is called what, and who may know of it."""

from __future__ import annotations

from ipaddress import IPv4Address

from lading.network import nametext
from lading.network.nametext import Told
from lading.network.values import Endpoint, Network, Sandbox

FRONT = Network("a1" * 32, "front", "bridge", "", "10.1.0.0/24", "10.1.0.1")
SHUT = Network("b2" * 32, "shut", "bridge", "", "10.2.0.0/24", "10.2.0.1", internal=True)
BRIDGE = Network("c3" * 32, "bridge", "bridge", "", "10.3.0.0/24", "10.3.0.1")


def on(network: Network, address: str, *aliases: str, links: tuple[str, ...] = ()) -> Endpoint:
    return Endpoint(
        *("e" * 64, network.id, network.name, "eth0", "v0", address, 24),
        gateway="" if network.internal else network.gateway,
        aliases=aliases,
        links=links,
        resolver=network.gateway if network.has_names else "",
    )


def box(name: str, *endpoints: Endpoint, dns: tuple[str, ...] = ()) -> Sandbox:
    identity = name.encode().hex().ljust(64, "0")
    return Sandbox(identity, name, "front", "/n", endpoints, hostname=f"{name}-host", dns=dns)


def told(*sandboxes: Sandbox) -> Told:
    return nametext.told([FRONT, SHUT, BRIDGE], sandboxes)


def test_a_container_has_its_name_aliases_id_and_hostname() -> None:
    web = box("web", on(FRONT, "10.1.0.2", "Site"))
    first, line, *_ = told(web).leading_out[FRONT.id].splitlines()
    assert first == "10.1.0.1"
    assert line == f"{web.container_id} 10.1.0.2  web,site,{web.container_id[:12]},web-host"


def test_the_default_bridge_and_empty_networks_have_no_names() -> None:
    assert told(box("web", on(BRIDGE, "10.3.0.2"))) == Told({}, {})


def test_a_closed_network_is_told_to_the_server_that_asks_nobody() -> None:
    found = told(box("web", on(SHUT, "10.2.0.2")))
    assert list(found.closed) == [SHUT.id] and found.leading_out == {}


def test_who_is_on_both_kinds_finds_the_closed_names_at_the_other_server() -> None:
    both = box("both", on(FRONT, "10.1.0.2"), on(SHUT, "10.2.0.2"))
    found = told(both, box("db", on(SHUT, "10.2.0.3")))
    text = found.leading_out[SHUT.id]
    assert "10.2.0.3  db," in text
    assert IPv4Address(text.splitlines()[0]).is_loopback
    assert found.closed[SHUT.id].startswith("10.2.0.1\n")


def test_servers_of_its_own_are_asked_for_a_container_that_leads_out() -> None:
    dns = ("9.9.9.9", "127.0.0.1")
    out, shut = box("a", on(FRONT, "10.1.0.2"), dns=dns), box("b", on(SHUT, "10.2.0.2"), dns=dns)
    found = told(out, shut)
    assert found.leading_out[FRONT.id].splitlines()[1].endswith(" 9.9.9.9")
    assert "9.9.9.9" not in found.closed[SHUT.id]


def test_a_link_names_the_container_it_leads_to() -> None:
    db = box("db", on(FRONT, "10.1.0.2"))
    web = box("web", on(FRONT, "10.1.0.3", links=("db:base", f"{db.container_id[:12]}:store")))
    line = told(db, web).leading_out[FRONT.id].splitlines()[1]
    assert "base" in line and "store" in line


def test_a_text_tells_by_which_name_it_is_known() -> None:
    one = told(box("web", on(FRONT, "10.1.0.2"))).leading_out[FRONT.id]
    other = told(box("web", on(FRONT, "10.1.0.3"))).leading_out[FRONT.id]
    assert nametext.mark(one)[0] == "10.1.0.1"
    assert nametext.mark(one) != nametext.mark(other)
    assert one == told(box("web", on(FRONT, "10.1.0.2"))).leading_out[FRONT.id]
