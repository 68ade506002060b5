"""Published ports are reached from the host, from containers and outside, and nothing else is."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lading.linux.namespaces import inside
from lading.network.values import PortRequest
from network_box import NetworkBox, ask, id_of, network_boxes, nft, outside, serving

BOTH = pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])


@pytest.fixture
def box(tmp_path: Path) -> Iterator[NetworkBox]:
    with network_boxes(tmp_path) as make:
        box = make()
        box.networks.open()
        yield box


@pytest.fixture
def neighbour(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    with outside(tmp_path) as found:
        yield found


def _send_loopback_away(netns: Path) -> None:
    """Let 127/8 be elsewhere for this namespace: by the default route."""
    enter = ["nsenter", f"--net={netns}"]
    subprocess.run([*enter, "ip", "address", "flush", "dev", "lo"], check=True)
    allow = "/proc/sys/net/ipv4/conf/eth0/route_localnet"
    inside(netns, lambda: Path(allow).write_text("1"))


def _proto(udp: bool) -> str:
    return "udp" if udp else "tcp"


@BOTH
def test_from_the_hosts_loopback(box: NetworkBox, udp: bool) -> None:
    web = box.attach("web", PortRequest(80, _proto(udp)))
    with serving(web, 80, "web", udp=udp):
        assert ask("127.0.0.1", web.ports[0].host_port, udp=udp) == f"web {web.gateway}"
        assert ask("127.0.0.5", web.ports[0].host_port, udp=udp).startswith("web")


@BOTH
def test_from_the_host_by_the_bridges_address(box: NetworkBox, udp: bool) -> None:
    web = box.attach("web", PortRequest(80, _proto(udp)))
    with serving(web, 80, "web", udp=udp):
        assert ask(web.gateway, web.ports[0].host_port, udp=udp).startswith("web")


@BOTH
def test_from_another_container_and_from_itself(box: NetworkBox, udp: bool) -> None:
    web, client = box.attach("web", PortRequest(80, _proto(udp))), box.attach("client")
    with serving(web, 80, "web", udp=udp):
        for source in (client.netns, web.netns):
            port = web.ports[0].host_port
            assert ask(web.gateway, port, udp=udp, source=source).startswith("web")


@BOTH
def test_from_outside_with_the_askers_own_address(
    box: NetworkBox, neighbour: tuple[Path, str], udp: bool
) -> None:
    source, host = neighbour
    web = box.attach("web", PortRequest(80, _proto(udp)))
    with serving(web, 80, "web", udp=udp):
        port = web.ports[0].host_port
        assert ask(host, port, udp=udp, source=source) == "web 198.51.100.2"


def test_a_range_is_published_port_by_port(box: NetworkBox) -> None:
    web = box.attach("web", PortRequest(80), PortRequest(81), PortRequest(53, "udp"))
    with serving(web, 81, "second"):
        assert ask("127.0.0.1", web.ports[1].host_port).startswith("second")


def test_a_port_on_one_address_is_on_no_other(box: NetworkBox, neighbour: tuple[Path, str]) -> None:
    source, host = neighbour
    web = box.attach("web", PortRequest(80, host_ip="127.0.0.1"))
    port = web.ports[0].host_port
    with serving(web, 80, "web"):
        assert ask("127.0.0.1", port).startswith("web")
        with pytest.raises(ConnectionRefusedError):
            ask(host, port, source=source)
        with pytest.raises(ConnectionRefusedError):
            ask("127.0.0.2", port)


def test_two_containers_share_a_port_on_two_addresses(box: NetworkBox) -> None:
    one = box.attach("one", PortRequest(80, host_ip="127.0.0.1"))
    port = one.ports[0].host_port
    two = box.attach("two", PortRequest(80, host_ip="127.0.0.2", host_port=port))
    with serving(one, 80, "one"), serving(two, 80, "two"):
        assert ask("127.0.0.1", port).startswith("one")
        assert ask("127.0.0.2", port).startswith("two")


def test_what_is_not_published_cannot_be_reached_from_outside(
    box: NetworkBox, neighbour: tuple[Path, str]
) -> None:
    source, _ = neighbour
    web = box.attach("web", PortRequest(80))
    with serving(web, 81, "secret"):
        assert ask(web.address, 81).startswith("secret")
        with pytest.raises(OSError):
            ask(web.address, 81, source=source, seconds=0.5)


def test_the_hosts_loopback_is_closed_to_containers_and_neighbours(
    box: NetworkBox, neighbour: tuple[Path, str]
) -> None:
    """Not even to those who send it packets that are meant for it."""
    web = box.attach("web")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.3)
        for source in (Path(str(web.netns)), neighbour[0]):
            _send_loopback_away(source)
            with pytest.raises(TimeoutError):
                ask("127.0.0.1", server.getsockname()[1], source=source, seconds=0.3)
        with pytest.raises(TimeoutError):
            server.accept()


def test_containers_leave_by_the_hosts_address(
    box: NetworkBox, neighbour: tuple[Path, str]
) -> None:
    source, host = neighbour
    client = box.attach("client")
    with serving(source, 80, "outside"):
        assert ask("198.51.100.2", 80, source=client.netns) == f"outside {host}"


def test_a_port_taken_over_leads_to_its_new_container(box: NetworkBox) -> None:
    """Also for a UDP client that goes on from the same socket."""
    one = box.attach("one", PortRequest(53, "udp"))
    port = one.ports[0].host_port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        client.connect(("127.0.0.1", port))
        with serving(one, 53, "one", udp=True):
            client.send(b"?")
            assert client.recv(64).startswith(b"one")
        box.networks.detach(id_of("one"))
        box.let_go()
        two = box.attach("two", PortRequest(53, "udp", host_port=port))
        with serving(two, 53, "two", udp=True):
            client.send(b"?")
            assert client.recv(64).startswith(b"two")


def test_a_withdrawn_port_leads_nowhere(box: NetworkBox) -> None:
    web = box.attach("web", PortRequest(80))
    with serving(web, 80, "web"):
        assert ask("127.0.0.1", web.ports[0].host_port)
        box.networks.detach(id_of("web"))
        with pytest.raises(ConnectionRefusedError):
            ask("127.0.0.1", web.ports[0].host_port)


def test_publishing_heals_a_flushed_table(box: NetworkBox) -> None:
    web = box.attach("web", PortRequest(80))
    nft("delete", "table", "inet", box.table)
    other = box.attach("other", PortRequest(80))
    with serving(web, 80, "web"), serving(other, 80, "other"):
        assert ask("127.0.0.1", web.ports[0].host_port).startswith("web")
        assert ask("127.0.0.1", other.ports[0].host_port).startswith("other")


def test_withdrawing_from_a_flushed_table_is_no_failure(box: NetworkBox) -> None:
    web, other = box.attach("web", PortRequest(80)), box.attach("other", PortRequest(80))
    nft("delete", "table", "inet", box.table)
    box.networks.detach(id_of("web"))
    assert f"tcp . {web.ports[0].host_port}" not in nft("list", "table", "inet", box.table)
    with serving(other, 80, "other"):
        assert ask("127.0.0.1", other.ports[0].host_port).startswith("other")
