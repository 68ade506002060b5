"""The docker SDK for Python: its public methods one by one, as programs use them."""

from __future__ import annotations

import io
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker import errors, types
from docker.models.containers import Container

from engine_daemon import Daemon

# The SDK leaves the connections of its streams to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]
Sdk = docker.DockerClient


@pytest.fixture
def sdk(daemon: Daemon) -> Iterator[Sdk]:
    client = docker.DockerClient(base_url=daemon.settings.host, timeout=60)
    yield client
    for image in client.images.list():
        for tag in image.tags:
            if tag != "busybox:latest":
                client.images.remove(tag, force=True)
    client.close()


@pytest.fixture
def sleeper(sdk: Sdk) -> Container:
    return sdk.containers.run(
        "busybox", ["sleep", "1000"], detach=True, name="sleeper", stop_signal="SIGKILL"
    )


def eventually(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.05)


def archive(**files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


class TestClient:
    def test_ping_version_info(self, sdk: Sdk) -> None:
        assert sdk.ping() is True
        assert sdk.version()["ApiVersion"] == "1.50"
        assert sdk.info()["ServerVersion"] == sdk.version()["Version"]
        assert float(sdk.api.api_version) >= 1.44  # negotiated: what both speak

    def test_df(self, sdk: Sdk, sleeper: Container) -> None:
        found = sdk.df()
        assert found["LayersSize"] > 0
        assert any(each["Id"] == sleeper.id for each in found["Containers"])
        assert found["Images"][0]["Size"] > 0

    def test_login_is_refused_clearly(self, sdk: Sdk) -> None:
        with pytest.raises(errors.APIError, match="localhost:1"):
            sdk.login("somebody", "secret", registry="http://localhost:1", reauth=True)

    def test_events_as_they_come_and_as_they_came(self, sdk: Sdk) -> None:
        begin = int(time.time())
        stream = sdk.events(decode=True, filters={"type": "container", "event": "die"})
        seen: list[Any] = []
        listener = threading.Thread(target=lambda: seen.append(next(stream)))
        listener.start()
        time.sleep(0.3)
        sdk.containers.run("busybox", "false", detach=True)
        listener.join(20)
        stream.close()
        assert seen[0]["Actor"]["Attributes"]["exitCode"] == "1"
        past = sdk.events(since=begin, until=int(time.time()) + 1, decode=True)
        assert {"create", "start", "die"} <= {event["Action"] for event in past}

    def test_an_error_has_its_kind(self, sdk: Sdk) -> None:
        with pytest.raises(errors.NotFound):
            sdk.containers.get("nobody")
        with pytest.raises(errors.ImageNotFound):
            sdk.images.get("nobody")
        with pytest.raises(errors.APIError) as caught:
            sdk.containers.create("busybox", mem_limit=1)
        assert caught.value.is_client_error()
        assert "Minimum memory limit" in caught.value.explanation


class TestContainers:
    def test_run_in_front(self, sdk: Sdk) -> None:
        assert sdk.containers.run("busybox", "echo hello", remove=True) == b"hello\n"
        with pytest.raises(errors.ContainerError) as caught:
            sdk.containers.run("busybox", ["sh", "-c", "echo no >&2; exit 3"], remove=True)
        assert (caught.value.exit_status, caught.value.stderr) == (3, b"no\n")
        assert sdk.containers.list(all=True) == []

    def test_run_with_everything(self, sdk: Sdk, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("from the host")
        script = "id -u; pwd; echo $A; cat /host/file; cat /etc/hosts | grep other; hostname"
        told = sdk.containers.run(
            "busybox",
            ["sh", "-c", script],
            remove=True,
            user="33",
            working_dir="/tmp",
            environment={"A": "b"},
            volumes={str(tmp_path): {"bind": "/host", "mode": "ro"}},
            extra_hosts={"other": "10.9.8.7"},
            hostname="named",
            mem_limit="64m",
            nano_cpus=500_000_000,
            pids_limit=50,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            read_only=True,
            tmpfs={"/run": "size=1m"},
            ulimits=[types.Ulimit(name="nofile", soft=99, hard=99)],
            sysctls={"net.core.somaxconn": "99"},
            log_config=types.LogConfig(type="json-file", config={"max-size": "1m"}),
            labels=["one"],
            init=True,
        )
        lines = told.decode().splitlines()
        assert lines[:3] == ["33", "/tmp", "b"]
        assert "10.9.8.7" in lines[3] or "10.9.8.7" in lines[4]
        assert lines[-1] == "named"

    def test_create_start_and_attributes(self, sdk: Sdk) -> None:
        made = sdk.containers.create("busybox", "true", name="made", labels={"a": "b"})
        assert (made.status, made.name, made.labels) == ("created", "made", {"a": "b"})
        assert made.short_id == made.id[:12]
        assert "busybox:latest" in made.image.tags
        made.start()
        assert made.wait() == {"StatusCode": 0}
        made.reload()
        assert made.status == "exited"
        made.remove()

    def test_list_and_get(self, sdk: Sdk, sleeper: Container) -> None:
        assert sdk.containers.get("sleeper") == sleeper
        assert sdk.containers.list() == [sleeper]
        assert sdk.containers.list(filters={"name": "sleeper", "status": "running"}) == [sleeper]
        assert sdk.containers.list(filters={"label": "none"}) == []
        assert sdk.containers.list(limit=1, all=True) == [sleeper]
        assert sdk.containers.list(sparse=True)[0].status == "running"

    def test_stop_restart_kill_pause(self, sdk: Sdk, sleeper: Container) -> None:
        sleeper.pause()
        sleeper.reload()
        assert sleeper.status == "paused"
        sleeper.unpause()
        sleeper.restart(timeout=0)
        sleeper.stop(timeout=1)
        sleeper.reload()
        assert sleeper.status == "exited"
        sleeper.start()
        sleeper.kill(signal="SIGKILL")
        assert sleeper.wait()["StatusCode"] == 137

    def test_rename_update_resize_top_diff_stats(self, sdk: Sdk, sleeper: Container) -> None:
        sleeper.rename("renamed")
        assert sdk.containers.get("renamed") == sleeper
        assert sleeper.update(mem_limit="64m", memswap_limit="128m")["Warnings"] is None
        sleeper.reload()
        assert sleeper.attrs["HostConfig"]["Memory"] == 64 << 20
        sleeper.resize(10, 20)
        assert "sleep 1000" in " ".join(sleeper.top()["Processes"][0])
        sleeper.exec_run("touch /new")
        assert {"Path": "/new", "Kind": 1} in sleeper.diff()
        assert sleeper.stats(stream=False)["memory_stats"]["limit"] == 64 << 20
        stream = sleeper.stats(decode=True)
        assert next(stream)["name"] == "/renamed"
        stream.close()

    def test_logs(self, sdk: Sdk) -> None:
        script = "echo one; echo two >&2; sleep 0.3; echo three"
        container = sdk.containers.run("busybox", ["sh", "-c", script], detach=True)
        assert b"".join(container.logs(stream=True, follow=True)).splitlines() == [
            b"one", b"two", b"three"
        ]  # fmt: skip
        assert container.logs(stdout=False) == b"two\n"
        assert container.logs(tail=1) == b"three\n"
        assert container.logs(timestamps=True, tail=1).startswith(b"20")
        assert container.logs(since=int(time.time()) + 100) == b""

    def test_attach(self, sdk: Sdk) -> None:
        container = sdk.containers.create("busybox", ["sh", "-c", "echo out; echo err >&2"])
        stream = container.attach(stream=True, demux=True)
        container.start()
        pieces = list(stream)
        assert (b"out\n", None) in pieces
        assert (None, b"err\n") in pieces
        assert container.logs() == b"out\nerr\n"

    def test_attach_by_a_socket(self, sdk: Sdk) -> None:
        container = sdk.containers.create("busybox", "cat", stdin_open=True, tty=False)
        socket = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
        container.start()
        socket._sock.sendall(b"hello\n")
        read = socket.read(8 + 6)
        assert read[8:] == b"hello\n"
        socket.close()
        container.kill()

    def test_exec_run(self, sdk: Sdk, sleeper: Container) -> None:
        assert sleeper.exec_run("echo hi") == (0, b"hi\n")
        assert sleeper.exec_run(["sh", "-c", "exit 7"]).exit_code == 7
        assert sleeper.exec_run("env", environment=["X=y"]).output.count(b"X=y\n") == 1
        assert sleeper.exec_run("pwd", workdir="/tmp", user="33").output == b"/tmp\n"
        both = sleeper.exec_run(["sh", "-c", "echo o; echo e >&2"], demux=True)
        assert both.output == (b"o\n", b"e\n")
        assert b"".join(sleeper.exec_run("seq 3", stream=True).output) == b"1\n2\n3\n"
        assert sleeper.exec_run("tty", tty=True).output.startswith(b"/dev/pts/")
        assert not sleeper.exec_run("sleep 0", detach=True).output
        with sleeper.exec_run("cat", socket=True, stdin=True).output as socket:
            socket._sock.sendall(b"typed\n")
            assert socket.read(8 + 6)[8:] == b"typed\n"

    def test_archives(self, sdk: Sdk, sleeper: Container) -> None:
        assert sleeper.put_archive("/tmp", archive(a=b"content")) is True
        stream, stat = sleeper.get_archive("/tmp/a")
        assert (stat["name"], stat["size"]) == ("a", 7)
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
            member = tar.extractfile("a")
            assert member and member.read() == b"content"
        with pytest.raises(errors.NotFound):
            sleeper.get_archive("/nobody")
        with tarfile.open(fileobj=io.BytesIO(b"".join(sleeper.export()))) as tar:
            assert "tmp/a" in tar.getnames()

    def test_wait_for_the_removal(self, sdk: Sdk) -> None:
        container = sdk.containers.run("busybox", ["sleep", "0.3"], detach=True, auto_remove=True)
        assert container.wait(condition="removed")["StatusCode"] == 0

    def test_commit_and_prune(self, sdk: Sdk) -> None:
        container = sdk.containers.run("busybox", "touch /made", detach=True)
        container.wait()
        image = container.commit("committed", "1", message="why", author="who")
        assert image.tags == ["committed:1"]
        assert b"/made" in sdk.containers.run("committed:1", "ls /made", remove=True)
        pruned = sdk.containers.prune()
        assert container.id in pruned["ContainersDeleted"]

    def test_health_and_ports(self, sdk: Sdk) -> None:
        container = sdk.containers.run(
            *("busybox", ["sleep", "1000"]),
            detach=True,
            ports={"80/tcp": ("127.0.0.1", None)},
            healthcheck=types.Healthcheck(test=["CMD", "true"], interval=100_000_000),
        )
        container.reload()
        assert container.ports["80/tcp"][0]["HostIp"] == "127.0.0.1"
        eventually(lambda: sdk.containers.get(container.id).health == "healthy")
        container.remove(force=True, v=True)


class TestImages:
    def test_list_get_history_attributes(self, sdk: Sdk) -> None:
        image = sdk.images.get("busybox")
        assert "busybox:latest" in image.tags
        assert image in sdk.images.list()
        assert sdk.images.list("busybox", filters={"dangling": False}) == [image]
        assert image.history()[0]["Size"] > 0
        assert image.short_id.startswith("sha256:")
        assert image.labels == {} or image.labels

    def test_tag_save_load_remove(self, sdk: Sdk) -> None:
        image = sdk.images.get("busybox")
        assert image.tag("copied/name", tag="1") is True
        saved = b"".join(sdk.images.get("copied/name:1").save(named=True))
        sdk.images.remove("copied/name:1")
        with pytest.raises(errors.ImageNotFound):
            sdk.images.get("copied/name:1")
        (loaded,) = sdk.images.load(saved)
        assert loaded == image
        assert "copied/name:1" in loaded.tags

    def test_build(self, sdk: Sdk) -> None:
        dockerfile = io.BytesIO(b"FROM busybox\nRUN echo x > /x\nLABEL a=b\n")
        image, log = sdk.images.build(fileobj=dockerfile, tag="sdk:built", rm=True)
        assert image.labels == {"a": "b"}
        assert any("FROM busybox" in line.get("stream", "") for line in log)
        with pytest.raises(errors.BuildError):
            sdk.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN false\n"))

    def test_import(self, sdk: Sdk) -> None:
        sdk.api.import_image_from_data(archive(a=b"x"), repository="imported", tag="1")
        assert sdk.images.get("imported:1").tags == ["imported:1"]

    def test_what_needs_a_registry_that_is_not_there(self, sdk: Sdk) -> None:
        with pytest.raises(errors.APIError):
            sdk.images.pull("localhost:1/nothing", tag="1")
        with pytest.raises(errors.APIError):
            sdk.images.get_registry_data("localhost:1/nothing")
        sdk.images.get("busybox").tag("localhost:1/busybox", tag="1")
        told = list(sdk.images.push("localhost:1/busybox", tag="1", stream=True, decode=True))
        assert "error" in told[-1]

    def test_prune(self, sdk: Sdk) -> None:
        assert sdk.images.prune(filters={"dangling": True})["SpaceReclaimed"] >= 0
        assert "SpaceReclaimed" in sdk.images.prune_builds()


class TestVolumes:
    def test_a_life(self, sdk: Sdk) -> None:
        volume = sdk.volumes.create("data", labels={"a": "b"})
        assert (volume.name, volume.attrs["Labels"]) == ("data", {"a": "b"})
        assert sdk.volumes.get("data") == volume
        assert sdk.volumes.list(filters={"label": "a"}) == [volume]
        mount = types.Mount("/data", "data", type="volume")
        sdk.containers.run("busybox", "touch /data/kept", mounts=[mount], remove=True)
        seen = sdk.containers.run("busybox", "ls /data", volumes=["data:/data:ro"], remove=True)
        assert seen == b"kept\n"
        volume.remove()
        assert "VolumesDeleted" in sdk.volumes.prune()
        with pytest.raises(errors.NotFound):
            sdk.volumes.get("data")


class TestNetworks:
    def test_a_life(self, sdk: Sdk, sleeper: Container) -> None:
        pool = types.IPAMConfig(pool_configs=[types.IPAMPool(subnet="10.213.7.0/24")])
        network = sdk.networks.create("net", driver="bridge", ipam=pool, labels={"a": "b"})
        assert sdk.networks.get("net") == network
        assert sdk.networks.list(names=["net"]) == [network]
        network.connect(sleeper, aliases=["other"], ipv4_address="10.213.7.9")
        network.reload()
        assert network.containers == [sleeper]
        sleeper.reload()
        shown = sleeper.attrs["NetworkSettings"]["Networks"]["net"]
        assert shown["IPAddress"] == "10.213.7.9"
        network.disconnect(sleeper)
        network.remove()
        assert "NetworksDeleted" in sdk.networks.prune()
        with pytest.raises(errors.NotFound):
            sdk.networks.get("net")

    def test_the_usual_ones(self, sdk: Sdk) -> None:
        assert {"bridge", "host", "none"} <= {each.name for each in sdk.networks.list()}


class TestWhatIsNotThere:
    def test_swarm_and_its_like(self, sdk: Sdk) -> None:
        for listed in (sdk.services.list, sdk.nodes.list, sdk.secrets.list, sdk.configs.list):
            with pytest.raises(errors.APIError, match="not a swarm manager"):
                listed()
        with pytest.raises(errors.APIError):
            sdk.swarm.leave()

    def test_plugins(self, sdk: Sdk) -> None:
        assert sdk.plugins.list() == []
        with pytest.raises(errors.NotFound):
            sdk.plugins.get("nobody")


@pytest.mark.parametrize("version", ["1.24", "1.30", "1.41", "1.44", "auto"])
def test_clients_of_every_age(daemon: Daemon, version: str) -> None:
    client = docker.APIClient(base_url=daemon.settings.host, version=version)
    made = client.create_container("busybox", "echo aged")
    client.start(made)
    assert client.wait(made)["StatusCode"] == 0
    assert client.logs(made) == b"aged\n"
    assert client.inspect_container(made)["State"]["Status"] == "exited"
    assert client.images("busybox")[0]["Id"] == client.inspect_image("busybox")["Id"]
    client.remove_container(made)
    client.close()
