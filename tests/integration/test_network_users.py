"""Networks of the user's own: who reaches whom there, by what name, and what they keep."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest

from lading.linux.namespaces import inside
from lading.network import links
from lading.network.addresses import AddressTaken
from lading.network.bridges import InterfaceTaken
from lading.network.endpoints import AlreadyConnected, NotConnected
from lading.network.known import NetworkExists, NetworkNotFound
from lading.network.netlink import Netlink
from lading.network.segment import NetworkInUse
from lading.network.subnets import PoolOverlaps, SubnetTaken
from lading.network.values import EndpointRequest, PortRequest, Sandbox
from lading.network.wishes import PoolRequest, PredefinedNetwork
from network_box import (
    NetworkBox,
    ask,
    await_true,
    id_of,
    network_boxes,
    nft,
    outside,
    resolve,
    serving,
)

ICC = "com.docker.network.bridge.enable_icc"
MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
MTU = "com.docker.network.driver.mtu"
_GET_MTU = 0x8921  # SIOCGIFMTU
NAME = "com.docker.network.bridge.name"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[NetworkBox]:
    with network_boxes(tmp_path) as make:
        box = make()
        box.networks.open()
        yield box


def address(sandbox: Sandbox, number: int = 0) -> str:
    return sandbox.endpoints[number].address


def is_reached(
    target: str, source: Sandbox | None, port: int = 80, *, seconds: float = 3.0
) -> bool:
    """From a container, or from the host."""
    with suppress(OSError):
        return bool(ask(target, port, source=source.netns if source else None, seconds=seconds))
    return False


def is_cut_off(target: str, source: Sandbox | None, port: int = 80) -> bool:
    return not is_reached(target, source, port, seconds=0.3)


def interfaces(sandbox: Sandbox) -> set[str]:
    names = inside(str(sandbox.netns), socket.if_nameindex)
    return {name for _, name in names} - {"lo"}


def default_route(sandbox: Sandbox) -> str:
    """The gateway of the default route, as the kernel has it; "" for none."""
    lines = inside(str(sandbox.netns), lambda: Path("/proc/thread-self/net/route").read_text())
    for line in lines.splitlines()[1:]:
        _, target, gateway, *_ = line.split()
        if target == "00000000":
            return str(IPv4Address(bytes.fromhex(gateway)[::-1]))
    return ""


def _mtu_here(interface: str) -> int:
    """/sys shows the links of the namespace it was mounted in; this asks the thread's own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        asked = struct.pack("16sI", interface.encode(), 0).ljust(40, b"\0")
        answer = fcntl.ioctl(s, _GET_MTU, asked)
    return int(struct.unpack_from("I", answer, 16)[0])


def _delete_link(name: str) -> None:
    with Netlink() as wire:
        links.remove(wire, name)


class TestANetwork:
    def test_has_a_subnet_that_nobody_else_has(self, box: NetworkBox) -> None:
        subnets = [IPv4Network(box.create(name).subnet) for name in ("a", "b", "c")]
        subnets.append(IPv4Network(box.networks.find("bridge").subnet))
        assert not any(
            one.overlaps(other) for one in subnets for other in subnets if one is not other
        )

    def test_is_found_by_name_id_and_beginning(self, box: NetworkBox) -> None:
        made = box.create("a")
        assert box.networks.find("a") == box.networks.find(made.id) == made
        assert box.networks.find(made.id[:12]) == made

    def test_takes_nobodys_name(self, box: NetworkBox) -> None:
        box.create("a")
        with pytest.raises(NetworkExists, match="network with name a already exists"):
            box.create("a")

    def test_takes_nobodys_addresses(self, box: NetworkBox) -> None:
        box.create("a", pools=[PoolRequest("10.222.0.0/24")])
        with pytest.raises(PoolOverlaps):
            box.create("b", pools=[PoolRequest("10.222.0.128/25")])
        with outside(box.settings.run_root), pytest.raises(SubnetTaken):
            box.create("c", pools=[PoolRequest("198.51.100.0/25")])
        assert [n.name for n in box.networks.networks()] == ["a", "bridge", "host", "none"]

    def test_takes_nobodys_link(self, box: NetworkBox) -> None:
        with pytest.raises(InterfaceTaken):
            box.create("a", options={NAME: box.bridge})
        assert "a" not in [network.name for network in box.networks.networks()]

    def test_has_the_name_and_the_packets_that_are_asked_for(self, box: NetworkBox) -> None:
        name = f"u{box.settings.instance}"
        made = box.create("a", options={NAME: name, MTU: "1300"})
        web = box.attach("web", on=["a"])
        assert made.interface == name
        mtu = Path("/sys/class/net") / web.endpoints[0].host_interface / "mtu"
        assert mtu.read_text() == "1300\n"
        assert inside(str(web.netns), lambda: _mtu_here("eth0")) == 1300

    def test_is_not_removed_while_containers_are_on_it(self, box: NetworkBox) -> None:
        made = box.create("a")
        box.attach("web", on=["a"])
        with pytest.raises(NetworkInUse, match=f"network a id {made.id} has active endpoints"):
            box.networks.remove("a")
        box.networks.detach(id_of("web"))
        box.networks.remove("a")
        assert made.interface not in os.listdir("/sys/class/net")
        with pytest.raises(NetworkNotFound):
            box.attach("web", on=["a"])

    def test_of_every_engine_stays(self, box: NetworkBox) -> None:
        for name in ("bridge", "host", "none"):
            with pytest.raises(PredefinedNetwork):
                box.networks.remove(name)

    def test_gives_addresses_out_of_its_range_alone(self, box: NetworkBox) -> None:
        pool = PoolRequest(
            "10.222.0.0/24", ip_range="10.222.0.128/30", reserved={"x": "10.222.0.129"}
        )
        box.create("a", pools=[pool])
        given = {address(box.attach(f"c{n}", on=["a"])) for n in range(3)}
        assert given == {"10.222.0.128", "10.222.0.130", "10.222.0.131"}

    def test_gives_the_address_that_is_asked_for_once(self, box: NetworkBox) -> None:
        box.create("a", pools=[PoolRequest("10.222.0.0/24")])
        wish = EndpointRequest("a", address="10.222.0.77")
        assert address(box.attach("web", on=[wish])) == "10.222.0.77"
        with pytest.raises(AddressTaken):
            box.attach("other", on=[wish])
        assert box.networks.sandbox(id_of("other")) is None


class TestContainers:
    def test_reach_each_other_on_one_network_and_no_other(self, box: NetworkBox) -> None:
        box.create("a"), box.create("b")
        web, near = box.attach("web", on=["a"]), box.attach("near", on=["a"])
        far, old = box.attach("far", on=["b"]), box.attach("old")
        with serving(web, 80, "web"):
            assert is_reached(web.address, near)
            assert is_cut_off(web.address, far)
            assert is_cut_off(web.address, old)

    def test_reach_a_published_port_from_another_network(self, box: NetworkBox) -> None:
        box.create("a"), box.create("b")
        web, far = box.attach("web", PortRequest(80), on=["a"]), box.attach("far", on=["b"])
        with serving(web, 80, "web"):
            assert is_reached(far.gateway, far, web.ports[0].host_port)
            assert is_reached("127.0.0.1", None, web.ports[0].host_port)

    def test_leave_as_the_host_unless_told_otherwise(self, box: NetworkBox) -> None:
        box.create("a"), box.create("plain", options={MASQUERADE: "false"})
        web, bare = box.attach("web", on=["a"]), box.attach("bare", on=["plain"])
        with outside(box.settings.run_root) as (peer, host), serving(peer, 80, "peer"):
            there = "198.51.100.2"
            assert ask(there, 80, source=web.netns) == f"peer {host}"
            assert ask(there, 80, source=bare.netns) == f"peer {bare.address}"

    def test_do_not_talk_where_that_is_off(self, box: NetworkBox) -> None:
        box.create("quiet", options={ICC: "false"})
        web, near = box.attach("web", on=["quiet"]), box.attach("near", on=["quiet"])
        with serving(web, 80, "web"):
            assert is_cut_off(web.address, near)
            assert is_reached(web.address, None)

    def test_of_a_closed_network_reach_nobody_elsewhere(self, box: NetworkBox) -> None:
        box.create("shut", internal=True), box.create("a")
        web, near = box.attach("web", on=["shut"]), box.attach("near", on=["shut"])
        open_ = box.attach("open", PortRequest(80), on=["a"])
        assert (web.gateway, default_route(web)) == ("", "")
        with serving(web, 80, "web"), serving(open_, 80, "open"):
            assert is_reached(web.address, near)
            assert is_cut_off(web.address, open_)
            gateway = box.networks.find("shut").gateway
            assert is_cut_off(gateway, web, open_.ports[0].host_port)

    def test_of_a_closed_network_have_no_published_ports(self, box: NetworkBox) -> None:
        box.create("shut", internal=True)
        web = box.attach("web", PortRequest(80), on=["shut"])
        with serving(web, 80, "web"):
            assert is_cut_off("127.0.0.1", None, web.ports[0].host_port)

    def test_on_several_networks_have_one_way_out(self, box: NetworkBox) -> None:
        box.create("a"), box.create("b"), box.create("shut", internal=True)
        web = box.attach("web", on=["shut", "b", "a"])
        assert interfaces(web) == {"eth0", "eth1", "eth2"}
        assert default_route(web) == web.gateway == box.networks.find("a").gateway
        chosen = box.attach("chosen", on=["a", EndpointRequest("b", priority=5)])
        assert default_route(chosen) == box.networks.find("b").gateway

    def test_that_do_not_all_fit_are_on_none(self, box: NetworkBox) -> None:
        box.create("a"), box.create("b", pools=[PoolRequest("10.222.0.0/24")])
        box.attach("first", on=[EndpointRequest("b", address="10.222.0.9")])
        before = set(box.links())
        with pytest.raises(AddressTaken):
            box.attach("web", PortRequest(80), on=["a", EndpointRequest("b", address="10.222.0.9")])
        await_true(lambda: set(box.links()) == before)

    def test_in_a_crowd_have_each_an_address(self, box: NetworkBox) -> None:
        box.create("crowd")
        names = [f"c{n}" for n in range(200)]
        with ThreadPoolExecutor(16) as threads:
            sandboxes = list(threads.map(lambda name: box.attach(name, on=["crowd"]), names))
            assert len({each.address for each in sandboxes}) == 200
            server = box.networks.find("crowd").gateway
            assert resolve("c199", server, sandboxes[0].netns) == [sandboxes[199].address]
            list(threads.map(lambda name: box.networks.detach(id_of(name)), names))
        box.networks.remove("crowd")  # which waits for what is still on its way out
        spares = 4
        assert len([name for name in box.links() if name.startswith("v")]) <= spares
        assert box.servers() == []


class TestARunningContainer:
    def test_is_put_on_a_network_and_taken_off(self, box: NetworkBox) -> None:
        box.create("a"), box.create("b")
        web, near = box.attach("web", on=["a"]), box.attach("near", on=["b"])
        changed = box.networks.connect(id_of("web"), EndpointRequest("b"))
        assert interfaces(changed) == {"eth0", "eth1"}
        with serving(near, 80, "near"):
            assert is_reached(near.address, changed)
            changed = box.networks.disconnect(id_of("web"), box.networks.find("b"))
            assert is_cut_off(near.address, changed)
        assert interfaces(changed) == {"eth0"}
        assert box.networks.sandbox(id_of("web")) == changed
        assert changed.endpoints == web.endpoints

    def test_of_the_default_bridge_can_be_on_another_too(self, box: NetworkBox) -> None:
        box.create("a")
        near = box.attach("near", on=["a"])
        box.attach("web")
        changed = box.networks.connect(id_of("web"), EndpointRequest("a", aliases=("site",)))
        assert resolve("near", changed.endpoints[1].resolver, changed.netns) == [near.address]
        assert resolve("site", near.endpoints[0].resolver, near.netns) == [address(changed, 1)]

    def test_keeps_its_ports_when_its_way_out_changes(self, box: NetworkBox) -> None:
        box.create("a"), box.create("b")
        web = box.attach("web", PortRequest(80), on=["a", "b"])
        with serving(web, 80, "web"):
            changed = box.networks.disconnect(id_of("web"), box.networks.find("a"))
            assert default_route(changed) == changed.gateway == box.networks.find("b").gateway
            assert is_reached("127.0.0.1", None, web.ports[0].host_port)

    def test_is_on_a_network_once(self, box: NetworkBox) -> None:
        box.create("a")
        box.attach("web", on=["a"])
        with pytest.raises(AlreadyConnected):
            box.networks.connect(id_of("web"), EndpointRequest("a"))
        with pytest.raises(NotConnected):
            box.networks.disconnect(id_of("web"), box.networks.find("bridge"))

    def test_can_lose_all_its_networks_and_get_one_again(self, box: NetworkBox) -> None:
        box.create("a")
        box.attach("web")
        bare = box.networks.disconnect(id_of("web"), box.networks.find("bridge"))
        assert (interfaces(bare), default_route(bare)) == (set(), "")
        again = box.networks.connect(id_of("web"), EndpointRequest("a"))
        assert interfaces(again) == {"eth0"} and default_route(again) == again.gateway


class TestNames:
    def test_are_those_of_the_containers_on_the_network(self, box: NetworkBox) -> None:
        box.create("a"), box.create("b")
        web = box.attach("web", on=[EndpointRequest("a", aliases=("site", "www"))])
        near, far = box.attach("near", on=["a"]), box.attach("far", on=["b"])
        server = near.endpoints[0].resolver
        for name in ("web", "site", "www", id_of("web")[:12]):
            assert resolve(name, server, near.netns) == [web.address]
        assert resolve("WEB", server, near.netns) != []
        assert resolve("far", server, near.netns) == []
        with pytest.raises(OSError):
            resolve("web", server, far.netns)

    def test_that_are_shared_lead_to_all_who_have_them(self, box: NetworkBox) -> None:
        box.create("a")
        both = [box.attach(n, on=[EndpointRequest("a", aliases=("pool",))]) for n in ("x", "y")]
        found = resolve("pool", both[0].endpoints[0].resolver, both[0].netns)
        assert sorted(found) == sorted(each.address for each in both)

    def test_of_every_network_that_a_container_is_on_are_known_to_it(self, box: NetworkBox) -> None:
        box.create("a"), box.create("shut", internal=True)
        one, other = box.attach("one", on=["a"]), box.attach("other", on=["shut"])
        both = box.attach("both", on=["a", "shut"])
        server = both.endpoints[0].resolver
        assert resolve("one", server, both.netns) == [one.address]
        assert resolve("other", server, both.netns) == [other.address]
        assert resolve("both", other.endpoints[0].resolver, other.netns) == [address(both, 1)]

    def test_that_links_give_are_known(self, box: NetworkBox) -> None:
        box.create("a")
        db = box.attach("db", on=["a"])
        web = box.attach("web", on=[EndpointRequest("a", links=("db:base",))])
        assert resolve("base", web.endpoints[0].resolver, web.netns) == [db.address]

    def test_go_with_their_container(self, box: NetworkBox) -> None:
        box.create("a")
        box.attach("web", on=["a"])
        near = box.attach("near", on=["a"])
        box.networks.detach(id_of("web"))
        await_true(lambda: resolve("web", near.endpoints[0].resolver, near.netns) == [])

    def test_follow_a_renaming(self, box: NetworkBox) -> None:
        box.create("a")
        web = box.attach("web", on=["a"])
        box.networks.rename(id_of("web"), "site")
        server = web.endpoints[0].resolver
        await_true(lambda: resolve("site", server, web.netns) == [web.address])

    def test_outside_are_nobodys_on_a_closed_network(self, box: NetworkBox) -> None:
        box.create("shut", internal=True)
        web = box.attach("web", on=["shut"])
        assert resolve("example.com", web.endpoints[0].resolver, web.netns) == []

    def test_are_not_asked_of_others_by_a_closed_network(self, box: NetworkBox) -> None:
        box.create("shut", internal=True), box.create("a")
        web, other = box.attach("web", on=["shut"]), box.attach("other", on=["a"])
        for server in (other.endpoints[0].resolver, box.networks.find("bridge").gateway):
            with pytest.raises(OSError):
                resolve("other", server, web.netns)

    def test_are_answered_while_the_engine_is_away_and_after_it(self, box: NetworkBox) -> None:
        box.create("a")
        web = box.attach("web", on=["a"])
        servers = box.servers()
        box.networks.close()
        assert resolve("web", web.endpoints[0].resolver, web.netns) == [web.address]
        box.again(live=[id_of("web")])
        assert box.servers() == servers and len(servers) == 1
        box.attach("next", on=["a"])
        await_true(lambda: resolve("next", web.endpoints[0].resolver, web.netns))

    def test_come_back_when_their_server_was_killed(self, box: NetworkBox) -> None:
        box.create("a")
        web = box.attach("web", on=["a"])
        os.kill(box.servers()[0], signal.SIGKILL)
        box.attach("next", on=["a"])
        await_true(lambda: resolve("web", web.endpoints[0].resolver, web.netns) == [web.address])

    def test_need_no_server_where_nobody_is(self, box: NetworkBox) -> None:
        box.create("a")
        assert box.servers() == []
        box.attach("web", on=["a"])
        box.networks.detach(id_of("web"))
        await_true(lambda: box.servers() == [])


class TestAnotherEngine:
    def test_finds_the_networks_and_who_is_on_them(self, box: NetworkBox) -> None:
        box.create("a", labels={"x": "y"}), box.create("shut", internal=True)
        web = box.attach("web", PortRequest(80), on=["a", "shut"])
        before = box.networks.networks()
        box.again(live=[id_of("web")])
        assert box.networks.networks() == before
        assert box.networks.sandbox(id_of("web")) == web
        with serving(web, 80, "web"):
            assert is_reached("127.0.0.1", None, web.ports[0].host_port)
        taken = {e.address for e in web.endpoints}
        assert taken.isdisjoint(address(box.attach(f"c{n}", on=["a"])) for n in range(3))
        with pytest.raises(NetworkInUse):
            box.networks.remove("shut")

    def test_builds_them_again_after_a_reboot(self, box: NetworkBox) -> None:
        made = box.create("a", pools=[PoolRequest("10.222.0.0/24")])
        box.networks.close()
        nft("delete", "table", "inet", box.table)
        for name in box.links():
            _delete_link(name)
        box.again()
        assert made.interface in os.listdir("/sys/class/net")
        web, near = box.attach("web", on=["a"]), box.attach("near", on=["a"])
        with serving(web, 80, "web"):
            assert is_reached(web.address, near)

    def test_sweeps_a_bridge_that_no_record_names(self, box: NetworkBox) -> None:
        stray = f"b{box.settings.instance}dead00"
        with Netlink() as wire:
            links.add_bridge(wire, stray, "02:00:00:00:00:01")
        box.again()
        assert stray not in os.listdir("/sys/class/net")

    def test_moves_a_network_whose_addresses_nobody_chose_and_somebody_took(
        self, box: NetworkBox
    ) -> None:
        made = box.create("a")
        box.networks.close()
        _delete_link(made.interface)
        squatter = f"x{box.settings.instance}"
        with Netlink() as wire:
            links.add_bridge(wire, squatter, "02:00:00:00:00:01")
            taken = IPv4Interface(f"{made.gateway}/24")
            links.add_address(wire, socket.if_nametoindex(squatter), taken)
        try:
            box.again()
            moved = box.networks.find("a")
            assert not IPv4Network(moved.subnet).overlaps(IPv4Network(made.subnet))
            assert box.attach("web", on=["a"]).gateway == moved.gateway
        finally:
            _delete_link(squatter)

    def test_goes_on_without_a_network_whose_addresses_somebody_took(self, box: NetworkBox) -> None:
        box.create("a", pools=[PoolRequest("198.51.100.0/25")])
        box.create("b")
        box.networks.close()
        _delete_link(box.networks.find("a").interface)
        with outside(box.settings.run_root):
            box.again()
            box.attach("web", on=["b"])
            with pytest.raises(Exception, match="network a cannot be used"):
                box.attach("lost", on=["a"])


class TestTheRules:
    def _chains(self, box: NetworkBox) -> int:
        with suppress(Exception):
            listed = json.loads(nft("-j", "list", "table", "inet", box.table))
            return sum("rule" in thing for thing in listed["nftables"])
        return 0

    @pytest.mark.parametrize("how", ["delete table", "flush table"])
    def test_come_back_by_themselves_when_somebody_flushes_them(
        self, how: str, box: NetworkBox
    ) -> None:
        box.create("a")
        web = box.attach("web", PortRequest(80), on=["a"])
        before = self._chains(box)
        nft(*how.split(), "inet", box.table)
        await_true(lambda: self._chains(box) == before)
        with serving(web, 80, "web"):
            assert is_reached("127.0.0.1", None, web.ports[0].host_port)
