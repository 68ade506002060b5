"""The flags of run that connect: published ports, networks, names and resolvers."""

from __future__ import annotations

import json
import re
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest

from cli_story import PATIENCE, Story, fetch

HTTP = "mkdir -p /www; echo $SAYS >/www/index.html; exec httpd -f -p 80 -h /www"
PYTHON = ("-v", "/usr:/usr:ro", "-v", "/usr/lib:/lib:ro", "-v", "/usr/lib64:/lib64:ro")
ECHO = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 53))
while True:
    text, peer = s.recvfrom(1500)
    s.sendto(b"heard " + text, peer)
"""


def serve(lading: Story, name: str, *options: str) -> str:
    """A server that says its name; its address."""
    words = ("run", "-d", "--name", name, "-e", f"SAYS={name}", *options)
    lading(*words, "busybox", "sh", "-c", HTTP)
    return lading.field(name, "{{.NetworkSettings.IPAddress}}")


def published(lading: Story, name: str, port: str) -> tuple[str, int]:
    address, _, number = lading.out("port", name, port).splitlines()[0].rpartition(":")
    return address, int(number)


@pytest.fixture
def free() -> int:
    """A port that nobody has, with two more behind it."""
    return next(port for port in range(20_000, 32_000, 7) if _are_free(port, port + 1, port + 2))


def _are_free(*ports: int) -> bool:
    try:
        for port in ports:
            socket.create_server(("", port)).close()
    except OSError:
        return False
    return True


def ask(port: int, text: bytes) -> bytes:
    """What a datagram is answered, sent again until it is."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.2)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with suppress(OSError):
                asking.sendto(text, ("127.0.0.1", port))
                return asking.recv(1500)
    raise AssertionError("no answer")


class TestPublished:
    def test_a_port_of_ones_choice_is_reached_from_everywhere(
        self, lading: Story, free: int
    ) -> None:
        inside = serve(lading, "web", "-p", f"{free}:80")
        assert fetch(free) == fetch(80, inside) == "web\n"
        gateway = lading.field("web", "{{.NetworkSettings.Gateway}}")
        assert fetch(free, gateway) == "web\n"
        for place in (f"{inside}:80", f"{gateway}:{free}"):
            assert lading.shell(f"wget -qO- http://{place}/") == "web"

    def test_a_port_is_chosen_where_none_is_named(self, lading: Story) -> None:
        serve(lading, "web", "-p", "80")
        address, port = published(lading, "web", "80")
        assert address == "0.0.0.0" and fetch(port) == "web\n"

    def test_only_the_address_named_is_served(self, lading: Story) -> None:
        serve(lading, "web", "-p", "127.0.0.1::80")
        address, port = published(lading, "web", "80/tcp")
        assert address == "127.0.0.1" and fetch(port) == "web\n"
        gateway = lading.field("web", "{{.NetworkSettings.Gateway}}")
        with pytest.raises(OSError):
            socket.create_connection((gateway, port), timeout=2).close()

    def test_ranges(self, lading: Story, free: int) -> None:
        serve(lading, "web", "-p", f"{free}-{free + 2}:79-81")
        assert fetch(free + 1) == "web\n"
        lines = lading.out("port", "web").splitlines()
        assert {line.partition(" ")[0] for line in lines} == {"79/tcp", "80/tcp", "81/tcp"}

    def test_all_that_the_image_exposes(self, lading: Story) -> None:
        serve(lading, "web", "-P", "--expose", "80")
        assert fetch(published(lading, "web", "80")[1]) == "web\n"
        serve(lading, "hidden", "--expose", "80")
        assert lading.out("port", "hidden") == ""

    def test_datagrams(self, lading: Story, free: int) -> None:
        words = ("run", "-d", "--name", "echo", *PYTHON, "-p", f"{free}:53/udp")
        lading(*words, "busybox", "/usr/bin/python3", "-c", ECHO)
        assert ask(free, b"this") == b"heard this"
        assert lading.out("port", "echo") == f"53/udp -> 0.0.0.0:{free}"

    def test_a_port_in_use_is_refused_and_leaves_nothing(self, lading: Story, free: int) -> None:
        serve(lading, "first", "-p", f"{free}:80")
        told = lading("run", "--rm", "-p", f"{free}:80", "busybox", check=125).stderr
        assert "port is already allocated" in told
        with socket.create_server(("127.0.0.1", free + 1)):
            told = lading("run", "--rm", "-p", f"{free + 1}:80", "busybox", check=125).stderr
            assert "port is already allocated" in told
        lading("rm", "-f", "first")
        serve(lading, "second", "-p", f"{free}:80")
        assert fetch(free) == "second\n"

    def test_the_port_comes_back_with_the_container(self, lading: Story, free: int) -> None:
        serve(lading, "web", "-p", f"{free}:80")
        assert fetch(free) == "web\n"
        lading("stop", "-t", "0", "web")
        socket.create_server(("", free)).close()
        lading("start", "web")
        assert fetch(free) == "web\n"


class TestNetworks:
    def test_the_bridge_is_the_default(self, lading: Story) -> None:
        one = serve(lading, "one")
        two = serve(lading, "two", "--network", "bridge")
        assert one != two
        assert fetch(80, one) == "one\n"
        assert lading.out("exec", "one", "wget", "-qO-", f"http://{two}/") == "two"
        shown = json.loads(lading.out("network", "inspect", "bridge"))[0]
        assert {each["Name"] for each in shown["Containers"].values()} == {"one", "two"}
        assert lading.out("network", "ls", "--format", "{{.Name}}").split() == [
            *("bridge", "host", "none")
        ]

    def test_none_has_its_own_loopback_alone(self, lading: Story) -> None:
        script = "ls /sys/class/net; ip -4 -o addr | awk '{print $4}'"
        assert lading.shell(script, "--network", "none").split() == ["lo", "127.0.0.1/8"]

    def test_host_is_the_hosts_own(self, lading: Story) -> None:
        told = lading.shell("readlink /proc/self/ns/net; hostname", "--network", "host")
        assert told.split() == [str(Path("/proc/self/ns/net").readlink()), socket.gethostname()]

    def test_another_containers_is_shared(self, lading: Story) -> None:
        serve(lading, "first")
        script = "wget -qO- http://127.0.0.1/; hostname; cat /etc/hostname"
        told = lading.shell(script, "--network", "container:first").split()
        host = lading.field("first", "{{.Config.Hostname}}")
        assert told == ["first", host, host]
        refused = lading("run", "--network=container:nope", "busybox", check=125).stderr
        assert "No such container: nope" in refused
        conflict = lading("run", "--net=container:first", "-p", "80", "busybox", check=125).stderr
        assert "conflicting options" in conflict

    def test_a_container_reaches_out_through_the_host(self, lading: Story) -> None:
        with socket.create_server(("", 0)) as server:
            server.settimeout(PATIENCE)
            port = server.getsockname()[1]
            gateway = "ip route | awk '/default/ {print $3}'"
            with lading.beside(
                *("run", "--rm", "busybox", "sh", "-c", f"nc -w 5 $({gateway}) {port} </dev/null")
            ) as run:
                peer, address = server.accept()
                peer.close()
                run.wait(PATIENCE)
        assert re.match(r"\d+\.\d+\.\d+\.\d+", address[0]) and address[0] != "127.0.0.1"


class TestNames:
    def test_hosts(self, lading: Story) -> None:
        options = ("--add-host", "db:10.9.8.7", "--add-host", "out:host-gateway", "-h", "me")
        told = lading.shell("cat /etc/hosts; ip route | awk '/default/ {print $3}'", *options)
        *lines, gateway = told.splitlines()
        hosts = {tuple(line.split()[:2])[::-1] for line in lines if len(line.split()) > 1}
        assert ("db", "10.9.8.7") in hosts and ("out", gateway) in hosts
        assert any(name == "me" for name, _ in hosts)
        told = lading("run", "--add-host", "wrong", "busybox", check=125).stderr
        assert "bad format for add-host" in told

    def test_resolvers(self, lading: Story) -> None:
        options = ("--dns", "10.1.2.3", "--dns-search", "inside.example", "--dns-option", "ndots:3")
        lines = lading.shell("cat /etc/resolv.conf", *options).splitlines()
        assert {"nameserver 10.1.2.3", "search inside.example", "options ndots:3"} <= set(lines)
        told = lading("run", "--dns", "nope", "busybox", check=125).stderr
        assert "nope" in told

    def test_addresses_of_links_may_be_chosen(self, lading: Story) -> None:
        look = "cat /sys/class/net/eth0/address"
        assert lading.shell(look, "--mac-address", "02:11:22:33:44:55") == "02:11:22:33:44:55"
