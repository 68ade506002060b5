"""hosts, hostname and resolv.conf say what was asked, and never a line more."""

from __future__ import annotations

import pytest

from lading.network import files
from lading.network.files import (
    ExtraHost,
    InvalidDns,
    InvalidExtraHost,
    InvalidName,
    Resolver,
)


def test_a_container_finds_itself_in_hosts() -> None:
    text = files.hosts_text("web", ["172.17.0.2"], domain="example.org")
    assert text.startswith("127.0.0.1\tlocalhost\n")
    assert text.endswith("172.17.0.2\tweb.example.org web\n")


def test_extra_hosts_come_between() -> None:
    extra = [ExtraHost.parse("db:10.0.0.5"), ExtraHost.parse("up=[fd00::1]")]
    lines = files.hosts_text("web", ["172.17.0.2"], extra).splitlines()
    assert lines[-3:] == ["10.0.0.5\tdb", "fd00::1\tup", "172.17.0.2\tweb"]


def test_host_gateway_stands_for_the_bridge() -> None:
    extra = [ExtraHost.parse("host.docker.internal:host-gateway")]
    text = files.hosts_text("web", [], extra, gateway="172.17.0.1")
    assert text.endswith("172.17.0.1\thost.docker.internal\n")
    with pytest.raises(InvalidExtraHost):
        files.hosts_text("web", [], extra)


def test_on_the_hosts_network_the_hosts_lines_stay() -> None:
    text = files.host_hosts_text("127.0.0.1 me", [ExtraHost.parse("db:10.0.0.5")])
    assert text == "127.0.0.1 me\n10.0.0.5\tdb\n"


@pytest.mark.parametrize(
    "name", ["", "a\nb", "a b", "*", "a\t127.0.0.1 bank", "-a", "a..\n", "a\0", "é", "x" * 64]
)
def test_a_hostname_cannot_smuggle_a_line(name: str) -> None:
    with pytest.raises(InvalidName):
        files.hostname_text(name)
    with pytest.raises(InvalidName):
        files.hosts_text(name, ["172.17.0.2"])


@pytest.mark.parametrize(
    "text",
    [
        "db",
        "db:",
        ":10.0.0.1",
        "db:10.0.0.1\n6.6.6.6 bank",
        "db:nowhere",
        "*:10.0.0.1",
        "d b:10.0.0.1",
        "a\nb:10.0.0.1",
    ],
)
def test_an_extra_host_cannot_smuggle_a_line(text: str) -> None:
    with pytest.raises((InvalidExtraHost, InvalidName)):
        ExtraHost.parse(text)


def test_the_hosts_resolver_is_read_for_what_means_something() -> None:
    text = "# hi\nnameserver 9.9.9.9\nnameserver x\nsearch a.b *bad*\noptions ndots:5 X\njunk\n"
    assert files.parse_resolver(text) == Resolver(("9.9.9.9",), ("a.b",), ("ndots:5",))


def test_servers_that_a_container_cannot_reach_are_left_out() -> None:
    host = Resolver(("127.0.0.53", "fd00::1", "9.9.9.9"))
    assert files.resolver(host).servers == ("9.9.9.9",)
    assert files.resolver(Resolver(("127.0.0.1",))).servers == files.FALLBACK_SERVERS
    assert files.resolver(host, private=False).servers == host.servers


def test_what_the_user_gives_replaces_what_the_host_says() -> None:
    host = Resolver(("9.9.9.9",), ("corp",), ("ndots:5",))
    chosen = files.resolver(host, servers=["1.1.1.1"], options=["rotate"])
    assert files.resolv_conf_text(chosen) == "nameserver 1.1.1.1\nsearch corp\noptions rotate\n"
    assert files.resolver(host, search=["."]).search == ()


@pytest.mark.parametrize(
    "wish",
    [
        {"servers": ["1.1.1.1\nnameserver 6.6.6.6"]},
        {"servers": ["dns.example"]},
        {"options": ["ndots:5\nnameserver 6.6.6.6"]},
        {"search": ["corp\nnameserver 6.6.6.6"]},
        {"search": ["a b"]},
    ],
)
def test_dns_options_cannot_smuggle_a_line(wish: dict[str, list[str]]) -> None:
    with pytest.raises((InvalidDns, InvalidName)):
        files.resolver(Resolver(), **wish)
