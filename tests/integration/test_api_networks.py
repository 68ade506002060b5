"""User networks through a real daemon: the API's answers, Docker's own client, and restarts."""

from __future__ import annotations

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from threading import Thread
from typing import Any

import pytest

from engine_daemon import BUSYBOX, Daemon

pytestmark = pytest.mark.skipif(shutil.which("docker") is None, reason="needs docker's client")
SLEEP = ("sleep", "600")


def network(daemon: Daemon, name: str, **asked: Any) -> str:
    answer = daemon.client.post("/networks/create", content={"Name": name, **asked})
    assert answer.status == 201, answer.body
    return str(answer.json()["Id"])


def subnet(text: str, **more: Any) -> dict[str, Any]:
    return {"IPAM": {"Config": [{"Subnet": text, **more}]}}


def on(*names: str, **settings: Any) -> dict[str, Any]:
    """What a create asks for to be on networks, with *settings* on the first."""
    endpoints: dict[str, Any] = {name: {} for name in names}
    endpoints[names[0]] = settings
    return {
        "HostConfig": {"NetworkMode": names[0]},
        "NetworkingConfig": {"EndpointsConfig": endpoints},
    }


def endpoints(daemon: Daemon, container: str) -> dict[str, Any]:
    found = daemon.client.get(f"/containers/{container}/json").json()
    return dict(found["NetworkSettings"]["Networks"])


def says(daemon: Daemon, container: str, *command: str) -> str:
    """What a command says in a running container."""
    done = daemon.docker("exec", container, *command)
    return str(done.stdout)


class TestTheAPI:
    def test_tells_of_a_network_what_was_asked(self, daemon: Daemon) -> None:
        asked = {
            "Internal": True,
            "Attachable": True,
            "Labels": {"a": "b"},
            "Options": {"com.docker.network.driver.mtu": "1400"},
            **subnet("10.221.0.0/24", Gateway="10.221.0.9", IPRange="10.221.0.128/25"),
        }
        identity = network(daemon, "back", **asked)
        found = daemon.client.get("/networks/back").json()
        assert found["Id"] == identity
        assert {name: found[name] for name in ("Internal", "Attachable", "Labels", "Options")} == {
            name: asked[name] for name in ("Internal", "Attachable", "Labels", "Options")
        }
        assert found["IPAM"]["Config"] == asked["IPAM"]["Config"]
        assert (found["Driver"], found["Scope"], found["Containers"]) == ("bridge", "local", {})

    def test_tells_who_is_on_it(self, daemon: Daemon) -> None:
        network(daemon, "back", **subnet("10.221.0.0/24"))
        wish = {"IPAMConfig": {"IPv4Address": "10.221.0.7"}, "Aliases": ["db"]}
        made = daemon.run(*SLEEP, name="one", **on("back", **wish))
        (member,) = daemon.client.get("/networks/back").json()["Containers"].values()
        assert (member["Name"], member["IPv4Address"]) == ("one", "10.221.0.7/24")
        found = endpoints(daemon, made)["back"]
        assert (found["IPAddress"], found["Gateway"]) == ("10.221.0.7", "10.221.0.1")
        assert found["DNSNames"] == ["one", "db", made[:12]]
        assert (found["Aliases"], found["IPAMConfig"]) == (["db"], {"IPv4Address": "10.221.0.7"})

    def test_keeps_what_is_asked_for_a_container_that_does_not_run(self, daemon: Daemon) -> None:
        network(daemon, "back"), network(daemon, "front")
        made = daemon.create(*SLEEP, **on("back", Aliases=["db"]))
        answer = daemon.client.post("/networks/front/connect", content={"Container": made})
        assert answer.status == 200
        found = endpoints(daemon, made)
        assert set(found) == {"back", "front"}
        assert found["front"]["NetworkID"] == daemon.client.get("/networks/front").json()["Id"]
        assert (found["back"]["Aliases"], found["back"]["IPAddress"]) == (["db"], "")
        daemon.client.post(f"/containers/{made}/start")
        assert all(each["IPAddress"] for each in endpoints(daemon, made).values())

    @pytest.mark.parametrize(
        ("path", "content", "status", "told"),
        [
            ("/networks/create", {"Name": "taken"}, 409, "network with name taken already exists"),
            ("/networks/create", {"Name": "../x"}, 400, "invalid network name"),
            ("/networks/create", {"Name": "host"}, 403, "operation is not permitted on predefined"),
            ("/networks/create", {"Name": "x", "Driver": "overlay"}, 501, "overlay"),
            ("/networks/create", {"Name": "x", "EnableIPv6": True}, 501, "--ipv6"),
            ("/networks/create", {"Name": "x", "Ingress": True}, 501, "swarm"),
            ("/networks/create", {"Name": "x", **subnet("10.220.0.0/25")}, 403, "Pool overlaps"),
            ("/networks/gone/connect", {"Container": "one"}, 404, "network gone not found"),
            ("/networks/taken/connect", {"Container": "gone"}, 404, "No such container: gone"),
            (
                "/networks/taken/connect",
                {"Container": "one"},
                403,
                "endpoint with name one already",
            ),
            ("/networks/bridge/disconnect", {"Container": "one"}, 409, "is not connected"),
            ("/networks/host/connect", {"Container": "one"}, 409, "cannot be connected"),
            ("/networks/taken/connect", {"Container": "alone"}, 409, "private (none) mode"),
        ],
    )
    def test_refuses_in_docker_s_words(
        self, path: str, content: dict[str, Any], status: int, told: str, daemon: Daemon
    ) -> None:
        network(daemon, "taken", **subnet("10.220.0.0/24"))
        daemon.run(*SLEEP, name="one", **on("taken"))
        daemon.create(*SLEEP, name="alone", HostConfig={"NetworkMode": "none"})
        answer = daemon.client.post(path, content=content)
        assert answer.status == status and told in answer.message
        assert len(daemon.client.get("/networks").json()) == 4

    def test_removes_a_network_only_when_nobody_is_on_it(self, daemon: Daemon) -> None:
        identity = network(daemon, "back")
        made = daemon.run(*SLEEP, **on("back"))
        refused = daemon.client.delete("/networks/back")
        assert refused.status == 403
        assert f"network back id {identity} has active endpoints" in refused.message
        daemon.client.delete(f"/containers/{made}", force=1)
        assert daemon.client.delete("/networks/back").status == 204
        assert daemon.client.get("/networks/back").status == 404
        assert daemon.client.delete("/networks/bridge").status == 403

    def test_prunes_what_no_container_is_on(self, daemon: Daemon) -> None:
        for name in ("used", "free", "kept"):
            network(daemon, name, Labels={"keep": "1"} if name == "kept" else {})
        daemon.create(*SLEEP, **on("used"))
        answer = daemon.client.post("/networks/prune", filters='{"label!": ["keep"]}')
        assert answer.json() == {"NetworksDeleted": ["free"]}

    def test_starts_a_container_on_no_network_that_is_gone(self, daemon: Daemon) -> None:
        network(daemon, "back")
        made = daemon.create(*SLEEP, **on("back"))
        daemon.client.delete("/networks/back")
        answer = daemon.client.post(f"/containers/{made}/start")
        assert (answer.status, answer.message) == (404, "network back not found")

    def test_tells_of_networks_as_events(self, daemon: Daemon) -> None:
        since = daemon.client.get("/info").json()["SystemTime"]
        network(daemon, "back")
        made = daemon.run(*SLEEP, **on("back"))
        daemon.client.delete(f"/containers/{made}", force=1)
        daemon.client.delete("/networks/back")
        answer = daemon.client.get(
            "/events", since=since, until=daemon.client.get("/info").json()["SystemTime"],
            filters='{"type": ["network"], "network": ["back"]}',
        )  # fmt: skip
        told = [(each["Action"], each["Actor"]["Attributes"]["name"]) for each in answer.lines()]
        assert told == [(what, "back") for what in ("create", "connect", "disconnect", "destroy")]


class TestDockersClient:
    def test_makes_uses_and_removes_networks(self, daemon: Daemon) -> None:
        docker = daemon.docker
        assert docker("network", "create", "--label", "a=b", "front").returncode == 0
        assert docker("network", "create", "--internal", "back").returncode == 0
        listed = docker("network", "ls", "--filter", "type=custom", "--format", "{{.Name}}")
        assert sorted(listed.stdout.split()) == ["back", "front"]
        web = ("run", "-d", "--name", "web", "--network", "front", "--network-alias", "site")
        assert docker(*web, BUSYBOX, "httpd", "-f", "-p", "80", "-h", "/etc").returncode == 0
        got = docker("run", "--rm", "--network", "front", BUSYBOX, "wget", "-qO-", "site/passwd")
        assert "root" in got.stdout, got.stderr
        docker("run", "-d", "--name", "db", "--network", "back", BUSYBOX, *SLEEP)
        assert docker("exec", "web", "ping", "-c1", "-W1", "db").returncode != 0
        assert docker("network", "connect", "--alias", "inner", "back", "web").returncode == 0
        assert docker("exec", "web", "ping", "-c1", "-W1", "db").returncode == 0
        assert docker("exec", "db", "ping", "-c1", "-W1", "inner").returncode == 0
        shown = docker("ps", "--format", "{{.Names}},{{.Networks}}", "--filter", "network=back")
        assert sorted(sorted(line.split(",")) for line in shown.stdout.splitlines()) == [
            ["back", "db"],
            ["back", "front", "web"],
        ]
        assert docker("network", "disconnect", "front", "web").returncode == 0
        assert "eth0" not in says(daemon, "web", "ip", "-o", "link")
        refused = docker("network", "rm", "back")
        assert refused.returncode != 0 and "has active endpoints" in refused.stderr
        docker("rm", "-f", "web", "db")
        assert docker("network", "rm", "back", "front").returncode == 0

    def test_links_containers_of_a_user_network(self, daemon: Daemon) -> None:
        network(daemon, "back")
        daemon.run(*SLEEP, name="db", **on("back"))
        linked = ("run", "--rm", "--network", "back", "--link", "db:base", BUSYBOX)
        assert daemon.docker(*linked, "ping", "-c1", "-W1", "base").returncode == 0
        refused = daemon.docker("run", "--rm", "--link", "db:base", BUSYBOX, "true")
        assert refused.returncode == 125 and "--link" in refused.stderr


class TestAContainer:
    def test_resolves_as_its_networks_do(self, daemon: Daemon) -> None:
        network(daemon, "back")
        gateway = daemon.client.get("/networks/back").json()["IPAM"]["Config"][0]["Gateway"]
        made = daemon.run(*SLEEP, **on("back"))
        text = says(daemon, made, "cat", "/etc/resolv.conf")
        assert text.splitlines()[0] == f"nameserver {gateway}" and "ndots:0" in text
        plain = daemon.run(*SLEEP)
        assert f"nameserver {gateway}" not in says(daemon, plain, "cat", "/etc/resolv.conf")

    def test_asks_its_new_network_s_resolver_at_once(self, daemon: Daemon) -> None:
        network(daemon, "back")
        daemon.run(*SLEEP, name="db", **on("back"))
        made = daemon.run(*SLEEP)
        daemon.client.post("/networks/back/connect", content={"Container": made})
        address = endpoints(daemon, made)["back"]["IPAddress"]
        assert address in says(daemon, made, "cat", "/etc/hosts")
        assert daemon.docker("exec", made, "ping", "-c1", "-W1", "db").returncode == 0

    def test_is_found_by_its_new_name(self, daemon: Daemon) -> None:
        network(daemon, "back")
        daemon.run(*SLEEP, name="old", **on("back"))
        other = daemon.run(*SLEEP, **on("back"))
        daemon.client.post("/containers/old/rename", name="new")
        assert daemon.docker("exec", other, "ping", "-c1", "-W1", "new").returncode == 0

    def test_is_on_its_networks_again_after_a_restart(self, daemon: Daemon) -> None:
        network(daemon, "back", **subnet("10.221.0.0/24")), network(daemon, "front")
        wish = {"IPAMConfig": {"IPv4Address": "10.221.0.50"}}
        made = daemon.run(*SLEEP, **on("back", **wish))
        daemon.client.post("/networks/front/connect", content={"Container": made})
        daemon.client.post(f"/containers/{made}/restart", t=0)
        found = endpoints(daemon, made)
        assert set(found) == {"back", "front"}
        assert found["back"]["IPAddress"] == "10.221.0.50"

    def test_in_a_crowd_has_an_address_of_its_own(self, daemon: Daemon) -> None:
        network(daemon, "crowd")

        def run(number: int) -> str:
            made = daemon.run(*SLEEP, name=f"crowd{number}", **on("crowd"))
            return str(endpoints(daemon, made)["crowd"]["IPAddress"])

        with ThreadPoolExecutor(8) as threads:
            addresses = list(threads.map(run, range(24)))
        assert len(set(addresses)) == 24
        assert daemon.docker("exec", "crowd0", "ping", "-c1", "-W1", "crowd23").returncode == 0


def _restless(daemon: Daemon, number: int) -> None:
    """Make, use and remove networks until nobody answers any more."""
    client = daemon.client
    with suppress(OSError, HTTPException):
        for turn in range(1000):
            name = f"n{number}-{turn}"
            client.post("/networks/create", content={"Name": name})
            asked = {"Image": BUSYBOX, "Cmd": list(SLEEP), **on(name)}
            made = client.post("/containers/create", content=asked).json()["Id"]
            client.post(f"/containers/{made}/start")
            client.post("/networks/stays/connect", content={"Container": made})
            if turn % 2:
                client.delete(f"/containers/{made}", force=1)
                client.delete(f"/networks/{name}")


class TestADaemon:
    def test_that_was_killed_finds_networks_and_names_as_they_were(
        self, own_daemon: Daemon
    ) -> None:
        daemon = own_daemon
        network(daemon, "back", Internal=True), network(daemon, "front")
        daemon.run(*SLEEP, name="db", **on("back"))
        web = daemon.run(*SLEEP, name="web", **on("front", "back"))
        before = endpoints(daemon, web)
        daemon.kill()
        daemon.start()
        assert endpoints(daemon, web) == before
        assert daemon.docker("exec", "web", "ping", "-c1", "-W1", "db").returncode == 0
        daemon.run(*SLEEP, name="late", **on("front"))
        assert daemon.docker("exec", "web", "ping", "-c1", "-W1", "late").returncode == 0
        assert daemon.client.delete("/networks/back").status == 403

    @pytest.mark.parametrize("after", [0.15, 0.4, 0.8])
    def test_that_was_killed_at_work_has_whole_networks(
        self, after: float, own_daemon: Daemon
    ) -> None:
        daemon = own_daemon
        network(daemon, "stays")
        workers = [Thread(target=_restless, args=(daemon, n)) for n in range(3)]
        for worker in workers:
            worker.start()
        time.sleep(after)
        daemon.kill()
        for worker in workers:
            worker.join()
        daemon.start()
        bridges = {
            f"b{daemon.settings.instance}{each['Id'][:6]}"
            for each in daemon.client.get("/networks", filters='{"type": ["custom"]}').json()
        }
        own = f"b{daemon.settings.instance}"
        found = {name for name in os.listdir("/sys/class/net") if name.startswith(own)}
        assert found == bridges, daemon.log.read_text()
        made = daemon.run(*SLEEP, name="last", **on("stays"))
        assert daemon.docker("exec", made, "ping", "-c1", "-W1", "last").returncode == 0
        daemon.remove_containers()
        assert len(daemon.client.get("/networks").json()) == 3

    def test_leaves_nothing_of_them_when_it_is_reset(self, own_daemon: Daemon) -> None:
        network(own_daemon, "back", Options={"com.docker.network.bridge.name": "ladingtest0"})
        own_daemon.run(*SLEEP, **on("back"))
        own_daemon.reset()
        assert own_daemon.leavings() == []
        assert not own_daemon.settings.run_root.joinpath("names").exists()
        with open("/proc/net/dev") as devices:
            assert "ladingtest0" not in devices.read()
