"""Engines come and go, hosts reboot, firewalls are reloaded: the networks are what they were."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

import pytest

import network_child
from lading.linux.namespaces import is_netns
from lading.network import bridge, links
from lading.network.holds import PortTaken
from lading.network.netlink import Netlink
from lading.network.subnets import SubnetTaken
from lading.network.values import PortRequest
from network_box import NetworkBox, ask, await_true, id_of, network_boxes, nft, serving

MakeBox = Callable[..., NetworkBox]


@pytest.fixture
def make_box(tmp_path: Path) -> Iterator[MakeBox]:
    """Make networks that are not open yet."""
    with network_boxes(tmp_path) as make:
        yield make


@pytest.fixture
def box(make_box: MakeBox) -> NetworkBox:
    box = make_box()
    box.networks.open()
    return box


def _subnet(box: NetworkBox) -> IPv4Network:
    return IPv4Network(box.networks.find("bridge").subnet)


@contextmanager
def _address_on_lo(address: IPv4Interface) -> Iterator[None]:
    command = ["ip", "address"]
    subprocess.run([*command, "add", str(address), "dev", "lo"], check=True)
    try:
        yield
    finally:
        subprocess.run([*command, "del", str(address), "dev", "lo"], check=True)


class TestAnotherEngine:
    def test_finds_who_lives_as_they_were(self, box: NetworkBox) -> None:
        web, alone = box.attach("web", PortRequest(80)), box.attach("alone", mode="none")
        before = box.networks.networks()
        box.again(live=[id_of("web"), id_of("alone")])
        assert box.networks.networks() == before
        assert box.networks.sandbox(id_of("web")) == web
        assert box.networks.sandbox(id_of("alone")) == alone
        with serving(web, 80, "web"):
            assert ask("127.0.0.1", web.ports[0].host_port).startswith("web")

    def test_gives_nobody_what_they_have(self, box: NetworkBox) -> None:
        web = box.attach("web", PortRequest(80))
        box.let_go()
        box.again(live=[id_of("web")])
        assert web.address not in {box.attach(f"c{n}").address for n in range(6)}
        with pytest.raises(PortTaken):
            box.attach("other", PortRequest(80, host_port=web.ports[0].host_port))

    def test_can_detach_them(self, box: NetworkBox) -> None:
        web = box.attach("web", PortRequest(80))
        box.again(live=[id_of("web")])
        box.networks.detach(id_of("web"))
        await_true(lambda: web.endpoints[0].host_interface not in box.links())
        await_true(lambda: not is_netns(Path(str(web.netns))))

    def test_sweeps_who_ended_meanwhile(self, box: NetworkBox) -> None:
        web, alone = box.attach("web", PortRequest(80)), box.attach("alone", mode="none")
        box.let_go()
        box.again()
        assert box.networks.sandbox(id_of("web")) is None
        assert web.endpoints[0].host_interface not in box.links()
        assert not {web.netns, alone.netns} & set(box.mounts())
        assert web.address not in nft("list", "table", "inet", box.table)
        assert box.attach("other", PortRequest(80, host_port=web.ports[0].host_port))

    def test_lets_a_joined_container_be(self, box: NetworkBox) -> None:
        box.attach("web")
        side = box.attach("side", mode="container:web", joins=id_of("web"))
        box.again(live=[id_of("web"), id_of("side")])
        assert box.networks.sandbox(id_of("side")) == side
        assert is_netns(Path(str(side.netns)))
        box.again(live=[id_of("side")])
        assert not is_netns(Path(str(side.netns)))

    def test_follows_one_that_was_killed(self, make_box: MakeBox) -> None:
        box = make_box()
        places = str(box.settings.root), str(box.settings.run_root)
        child = [sys.executable, network_child.__file__, *places, "web", "gone"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        ended = subprocess.run(child, env=environment, check=False, capture_output=True)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        box.networks.open([id_of("web")])
        web = box.networks.sandbox(id_of("web"))
        assert web
        assert box.networks.sandbox(id_of("gone")) is None
        with serving(web, 80, "web"):
            assert ask("127.0.0.1", web.ports[0].host_port).startswith("web")
        box.networks.close()
        assert sorted(box.links()) == sorted([box.bridge, web.endpoints[0].host_interface])
        assert box.mounts() == [web.netns]


class TestNoEngine:
    def test_containers_keep_their_network(self, box: NetworkBox) -> None:
        web = box.attach("web", PortRequest(80))
        box.networks.close()
        with serving(web, 80, "web"):
            assert ask("127.0.0.1", web.ports[0].host_port).startswith("web")

    def test_no_spares_are_kept(self, box: NetworkBox) -> None:
        await_true(lambda: len(box.links()) > 1)
        box.networks.close()
        assert box.links() == [box.bridge]
        assert box.mounts() == []

    def test_what_ends_late_is_still_detached(self, box: NetworkBox) -> None:
        box.attach("web", PortRequest(80))
        box.networks.close()
        box.networks.detach(id_of("web"))
        assert box.links() == [box.bridge]


class TestHarmFromOthers:
    def test_flushed_rules_come_back_with_the_next_engine(self, box: NetworkBox) -> None:
        web = box.attach("web", PortRequest(80))
        nft("delete", "table", "inet", box.table)
        box.again(live=[id_of("web")])
        with serving(web, 80, "web"):
            assert ask("127.0.0.1", web.ports[0].host_port).startswith("web")

    def test_flushed_rules_come_back_when_asked_for(self, box: NetworkBox) -> None:
        web = box.attach("web", PortRequest(80))
        nft("delete", "table", "inet", box.table)
        box.networks.restore()
        with serving(web, 80, "web"):
            assert ask("127.0.0.1", web.ports[0].host_port).startswith("web")

    def test_a_removed_bridge_comes_back_with_the_next_container(self, box: NetworkBox) -> None:
        web = box.attach("web", PortRequest(80))
        bridge.remove(box.bridge)
        client = box.attach("client")
        with serving(web, 80, "web"):
            assert ask(web.address, 80, source=client.netns).startswith("web")
            assert ask("127.0.0.1", web.ports[0].host_port).startswith("web")

    def test_after_a_reboot_all_is_built_again(self, box: NetworkBox) -> None:
        box.attach("web", PortRequest(80))
        before = box.networks.networks()
        box.let_go()
        box.networks.clear()  # what a reboot leaves: the database alone
        assert box.leavings() == []
        box.again()
        assert box.networks.networks() == before
        assert box.networks.sandbox(id_of("web")) is None
        web = box.attach("web", PortRequest(80))
        with serving(web, 80, "web"):
            assert ask("127.0.0.1", web.ports[0].host_port).startswith("web")

    def test_a_lost_namespace_keeps_no_engine_from_starting(self, box: NetworkBox) -> None:
        web = box.attach("web", PortRequest(80))
        with Netlink() as wire:
            links.remove(wire, web.endpoints[0].host_interface)
        box.again(live=[id_of("web")])
        box.networks.detach(id_of("web"))
        assert box.networks.sandbox(id_of("web")) is None


class TestSubnet:
    def test_it_stays_though_another_is_free_again(self, make_box: MakeBox) -> None:
        first, second = make_box(), make_box()
        first.networks.open()
        second.networks.open()
        before = _subnet(second)
        assert not before.overlaps(_subnet(first))
        first.networks.clear()
        second.networks.clear()
        second.again()
        assert _subnet(second) == before

    def test_another_is_chosen_where_it_is_somebodys_now(self, box: NetworkBox) -> None:
        before = _subnet(box)
        box.networks.clear()
        with _address_on_lo(IPv4Interface((before.network_address + 9, 32))):
            box.again()
            assert not _subnet(box).overlaps(before)
            web = box.attach("web")
            with serving(web, 80, "web"):
                assert ask(web.address, 80)
        chosen = _subnet(box)
        box.again()
        assert _subnet(box) == chosen

    def test_it_stays_as_long_as_somebody_lives_there(self, box: NetworkBox) -> None:
        before, web = _subnet(box), box.attach("web")
        box.again(live=[id_of("web")], subnet="10.214.9.0/24")
        assert _subnet(box) == before
        with serving(web, 80, "web"):
            assert ask(web.address, 80)
        box.again(subnet="10.214.9.0/24")
        assert str(_subnet(box)) == "10.214.9.0/24"
        web = box.attach("web")
        assert web.address.startswith("10.214.9.")
        with serving(web, 80, "web"):
            assert ask(web.address, 80) == "web 10.214.9.1"

    def test_a_wanted_one_that_is_somebodys_is_refused(
        self, box: NetworkBox, make_box: MakeBox
    ) -> None:
        other = make_box(subnet=str(_subnet(box)))
        with pytest.raises(SubnetTaken, match="which this host uses"):
            other.networks.open()


class TestTwoEngines:
    def test_side_by_side_each_has_its_own(self, make_box: MakeBox) -> None:
        one, two = make_box(), make_box()
        one.networks.open()
        two.networks.open()
        here, there = one.attach("web", PortRequest(80)), two.attach("web", PortRequest(80))
        with serving(here, 80, "here"), serving(there, 80, "there"):
            assert ask("127.0.0.1", here.ports[0].host_port).startswith("here")
            assert ask("127.0.0.1", there.ports[0].host_port).startswith("there")
            two.networks.clear()
            assert ask("127.0.0.1", here.ports[0].host_port).startswith("here")

    def test_containers_of_one_reach_only_what_the_other_publishes(self, make_box: MakeBox) -> None:
        one, two = make_box(), make_box()
        one.networks.open()
        two.networks.open()
        client, web = one.attach("client"), two.attach("web", PortRequest(80))
        with serving(web, 80, "web"):
            port = web.ports[0].host_port
            assert ask(client.gateway, port, source=client.netns).startswith("web")
            with pytest.raises(OSError):
                ask(web.address, 80, source=client.netns, seconds=0.5)

    def test_one_does_not_get_the_others_ports(self, make_box: MakeBox) -> None:
        one, two = make_box(), make_box()
        one.networks.open()
        two.networks.open()
        port = one.attach("web", PortRequest(80)).ports[0].host_port
        with pytest.raises(PortTaken):
            two.attach("web", PortRequest(80, host_port=port))


def test_cleared_nothing_is_left_whether_it_was_open_or_not(make_box: MakeBox) -> None:
    box = make_box()
    box.networks.clear()
    assert list(box.settings.run_root.iterdir()) == []
    box.networks.open()
    box.attach("web", PortRequest(80))
    box.networks.clear()
    box.networks.clear()
    assert box.leavings() == []
    assert list(box.settings.run_root.iterdir()) == []
