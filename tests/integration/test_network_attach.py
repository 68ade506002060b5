"""Containers get their networks and give them back; what is refused leaves nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lading.errors import Conflict, Invalid, NotFound
from lading.linux.namespaces import inside, is_netns
from lading.network.addresses import NoAddressLeft
from lading.network.values import PortRequest, Sandbox
from network_box import NetworkBox, ask, await_true, id_of, network_boxes, nft, serving

MakeBox = Callable[..., NetworkBox]


def _interfaces(sandbox: Sandbox) -> list[str]:
    assert sandbox.netns
    names = inside(sandbox.netns, lambda: [name for _, name in socket.if_nameindex()])
    return [name for name in names if name in ("lo", "eth0")]


@pytest.fixture
def make_box(tmp_path: Path) -> Iterator[MakeBox]:
    """Make networks that are open."""
    with network_boxes(tmp_path) as make_closed:

        def make(**options: str) -> NetworkBox:
            box = make_closed(**options)
            box.networks.open()
            return box

        yield make


@pytest.fixture
def box(make_box: MakeBox) -> NetworkBox:
    return make_box()


class TestBridge:
    def test_a_container_has_an_address_and_a_way_to_the_host(self, box: NetworkBox) -> None:
        web = box.attach("web")
        network = box.networks.find("bridge")
        (endpoint,) = web.endpoints
        assert (endpoint.network_id, endpoint.gateway) == (network.id, network.gateway)
        assert _interfaces(web) == ["lo", "eth0"]
        with serving(web, 80, "web"):
            assert ask(web.address, 80) == f"web {network.gateway}"

    def test_containers_reach_each_other(self, box: NetworkBox) -> None:
        web, client = box.attach("web"), box.attach("client")
        with serving(web, 80, "web"):
            assert ask(web.address, 80, source=client.netns) == f"web {client.address}"

    def test_a_wanted_ethernet_address_is_had(self, box: NetworkBox) -> None:
        web = box.attach("web", mac="02:00:00:00:12:34")
        assert web.endpoints[0].mac == "02:00:00:00:12:34"
        with serving(web, 80, "web"):
            assert ask(web.address, 80)
        neighbours = Path("/proc/net/arp").read_text()
        assert f"{web.address} " in neighbours
        assert "02:00:00:00:12:34" in neighbours

    def test_detached_it_leaves_nothing(self, box: NetworkBox) -> None:
        web = box.attach("web", PortRequest(80))
        (link,) = (endpoint.host_interface for endpoint in web.endpoints)
        assert box.networks.sandbox(id_of("web")) == web
        box.networks.detach(id_of("web"))
        box.networks.detach(id_of("web"))
        assert box.networks.sandbox(id_of("web")) is None
        await_true(lambda: link not in box.links())
        await_true(lambda: not is_netns(Path(str(web.netns))))
        assert web.address not in nft("list", "table", "inet", box.table)
        assert list((box.settings.run_root / "sandboxes").iterdir()) == []

    def test_many_at_once_get_different_addresses(self, box: NetworkBox) -> None:
        found: list[Sandbox] = []
        threads = [
            threading.Thread(target=lambda n=n: found.append(box.attach(f"c{n}", PortRequest(80))))
            for n in range(30)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({each.address for each in found}) == 30
        assert len({each.ports[0].host_port for each in found}) == 30
        assert len({each.netns for each in found}) == 30

    def test_attached_twice_it_has_one_network(self, box: NetworkBox) -> None:
        first = box.attach("web")
        second = box.attach("web")
        assert box.networks.sandbox(id_of("web")) == second
        await_true(lambda: first.endpoints[0].host_interface not in box.links())

    def test_every_address_of_a_small_subnet_can_be_used(self, make_box: MakeBox) -> None:
        box = make_box(subnet="10.213.77.0/29")
        found = {box.attach(f"c{n}").address for n in range(5)}
        assert found == {f"10.213.77.{n}" for n in range(2, 7)}
        with pytest.raises(NoAddressLeft):
            box.attach("c5")
        box.networks.detach(id_of("c3"))
        assert box.attach("c5").address in found


class TestOtherModes:
    def test_none_has_the_loopback_alone(self, box: NetworkBox) -> None:
        alone = box.attach("alone", mode="none")
        assert _interfaces(alone) == ["lo"]
        assert [each.network for each in alone.endpoints] == ["none"]
        box.networks.detach(id_of("alone"))
        assert not is_netns(Path(str(alone.netns)))

    def test_host_has_no_namespace(self, box: NetworkBox) -> None:
        found = box.attach("web", mode="host")
        assert (found.netns, found.address) == (None, "")
        assert [each.network for each in found.endpoints] == ["host"]

    def test_a_joined_container_has_the_others_namespace(self, box: NetworkBox) -> None:
        web = box.attach("web")
        side = box.attach("side", mode=f"container:{id_of('web')}", joins=id_of("web"))
        assert (side.netns, side.endpoints) == (web.netns, ())
        box.networks.detach(id_of("side"))
        assert is_netns(Path(str(web.netns)))

    def test_a_container_that_does_not_run_cannot_be_joined(self, box: NetworkBox) -> None:
        with pytest.raises(Conflict, match="cannot join network of a non running container: 7765"):
            box.attach("side", mode="container:web", joins=id_of("web"))

    def test_a_network_can_be_named_by_its_id(self, box: NetworkBox) -> None:
        bridge = box.networks.find("bridge")
        assert box.attach("web", mode=bridge.id).endpoints[0].network == "bridge"

    def test_a_network_that_is_not_there_is_refused_by_name(self, box: NetworkBox) -> None:
        with pytest.raises(NotFound, match=r"^network mynet not found$"):
            box.attach("web", mode="mynet")
        assert box.networks.sandbox(id_of("web")) is None


class TestFinding:
    def test_by_name_id_and_prefix(self, box: NetworkBox) -> None:
        assert [n.name for n in box.networks.networks()] == ["bridge", "host", "none"]
        for network in box.networks.networks():
            assert box.networks.find(network.name) == network
            assert box.networks.find(network.id) == network
            assert box.networks.find(network.id[:20]) == network

    @pytest.mark.parametrize("ref", ["", "nope", "0" * 64])
    def test_what_is_not_there_is_not_found(self, box: NetworkBox, ref: str) -> None:
        with pytest.raises(NotFound, match="not found"):
            box.networks.find(ref)


class TestRefusals:
    def test_a_taken_port_is_told_in_dockers_words(self, box: NetworkBox) -> None:
        port = box.attach("web", PortRequest(80)).ports[0].host_port
        before = set(box.links())
        with pytest.raises(Conflict) as refused:
            box.attach("other", PortRequest(80, host_port=port))
        start, _, rest = str(refused.value).partition(" (")
        endpoint, _, reason = rest.partition("): ")
        assert start == "driver failed programming external connectivity on endpoint other"
        assert len(endpoint) == 64
        assert reason == f"Bind for 0.0.0.0:{port} failed: port is already allocated"
        assert box.networks.sandbox(id_of("other")) is None
        assert set(box.links()) <= before

    def test_an_address_of_elsewhere_is_the_users_mistake(self, box: NetworkBox) -> None:
        with pytest.raises(Invalid, match="cannot assign requested address"):
            box.attach("web", PortRequest(80, host_ip="203.0.113.9", host_port=8080))

    def test_the_port_is_free_again_after_a_refusal(self, box: NetworkBox) -> None:
        taken = box.attach("web", PortRequest(80)).ports[0].host_port
        with socket.create_server(("127.0.0.1", 0)) as probe:
            free = probe.getsockname()[1]
        wishes = PortRequest(80, host_port=free), PortRequest(81, host_port=taken)
        with pytest.raises(Conflict):
            box.attach("other", *wishes)
        assert box.attach("other", wishes[0]).ports[0].host_port == free
