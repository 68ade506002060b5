"""A container backed up on one daemon, restored on another: the same in everything."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine_daemon import Daemon
from trees import shown

PHRASE = {"Kind": "passphrase", "Content": base64.b64encode(b"open sesame").decode()}
# Files of every kind in the image's directories, and in a volume.
FILL = """
test -e /full && exec sleep 1000
set -e
mkdir -p /srv/deep/er; echo hello > /srv/file; chmod 4751 /srv/file; chown 12:34 /srv/file
ln /srv/file /srv/deep/same; ln -s ../file /srv/deep/link; rm /bin/vi; rm -r /var/spool || true
mkfifo /srv/fifo; mknod /srv/null c 1 3; mknod /data/block b 7 200
mkdir /data/folder; echo kept > /data/folder/text; ln /data/folder/text /data/same
dd if=/dev/zero of=/data/sparse bs=1 count=1 seek=50000000 2>/dev/null
dd if=/dev/urandom of=/data/random bs=1k count=3000 2>/dev/null
touch /full; exec sleep 1000
"""
OPTIONS: dict[str, Any] = {
    "Env": ["A=b", "EMPTY="],
    "Labels": {"x": "y"},
    "Hostname": "inside",
    "StopSignal": "SIGKILL",
    "ExposedPorts": {"80/tcp": {}},
    "Volumes": {"/anonymous": {}},
    "HostConfig": {
        "Binds": ["site:/data"],
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
        "Memory": 64 * 1024 * 1024,
        "PidsLimit": 99,
        "CapDrop": ["NET_RAW"],
        "Tmpfs": {"/scratch": "size=1m"},
        "ShmSize": 1024 * 1024,
        "Init": False,
    },
}


class TwoHosts:
    """A host with a container, one without, and a place for backups."""

    def __init__(self, source: Daemon, target: Daemon, place: Path) -> None:
        self.source, self.target, self.place = source, target, place

    def backup(self, *names: str, on: Daemon | None = None, **body: Any) -> list[dict[str, Any]]:
        asked = {"Target": str(self.place), "Names": names, **body}
        answer = (on or self.source).client.post("/lading/v1/backups/create", content=asked)
        assert answer.status == 200, answer.body
        lines = answer.lines()
        assert "error" not in lines[-1], lines[-1]
        return [line["aux"] for line in lines if "aux" in line]

    def restore(self, ref: str = "", on: Daemon | None = None, **body: Any) -> Any:
        asked = {"Ref": ref, **body} if ref else {"Target": str(self.place), **body}
        return (on or self.target).client.post("/lading/v1/restore", content=asked)

    def restored(self, ref: str = "", **body: Any) -> list[dict[str, Any]]:
        answer = self.restore(ref, **body)
        assert answer.status == 200, answer.body
        lines = answer.lines()
        assert "error" not in lines[-1], lines[-1]
        return [line["aux"] for line in lines if "aux" in line]

    def ask(self, verb: str, **body: Any) -> Any:
        return self.source.client.post(f"/lading/v1/backups/{verb}", content=body)


@pytest.fixture
def hosts(make_daemon: Any, tmp_path: Path) -> Iterator[TwoHosts]:
    yield TwoHosts(make_daemon(), make_daemon(busybox=False), tmp_path / "backups")


def fill(daemon: Daemon, name: str = "web", script: str = FILL, **options: Any) -> str:
    container = daemon.run("sh", "-c", script, name=name, **{**OPTIONS, **options})
    wait_for(daemon, container, "/full")
    volume = daemon.settings.volumes / "site" / "_data"
    os.setxattr(volume / "folder" / "text", "user.colour", b"blue")
    os.setxattr(volume / "random", "trusted.secret", b"\0\1")
    subprocess.run(["setfacl", "-m", "u:77:r", volume / "folder"], check=False)
    os.utime(volume / "folder" / "text", ns=(1, 1_111_111_111_222_222_222))
    return container


def wait_for(daemon: Daemon, container: str, path: str) -> None:
    deadline = time.monotonic() + 30
    while (
        daemon.client.request("HEAD", f"/containers/{container}/archive", path=path).status != 200
    ):
        assert time.monotonic() < deadline, daemon.output(container).body
        time.sleep(0.05)


def inspect(daemon: Daemon, container: str) -> dict[str, Any]:
    found: dict[str, Any] = daemon.client.get(f"/containers/{container}/json").json()
    return found


def same(found: dict[str, Any]) -> dict[str, Any]:
    """What of an inspection is the container's, not the host's or the moment's."""
    kept = {k: found[k] for k in ("Id", "Name", "Created", "Path", "Args", "Image", "Config")}
    mounts = [{k: v for k, v in each.items() if k != "Source"} for each in found["Mounts"]]
    return {**kept, "HostConfig": found["HostConfig"], "Mounts": sorted(mounts, key=json.dumps)}


# What is made at each start only to be mounted over.
STUBS = ("dev", "proc", "sys", "data", "anonymous", "scratch", "etc/hosts", "etc/hostname",
         "etc/resolv.conf")  # fmt: skip


def root_files(daemon: Daemon, container: str) -> dict[str, tuple[Any, ...]]:
    """The whole root, with all that a tar tells, but for the stubs."""
    answer = daemon.client.get(f"/containers/{container}/export")
    assert answer.status == 200
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as tar:
        return {
            member.name: (
                *(member.type, member.mode, member.uid, member.gid, member.linkname),
                *(member.devmajor, member.devminor, member.pax_headers, member.mtime),
                _content(tar, member),
            )
            for member in tar
            if not member.name.startswith(STUBS)
        }


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member) if member.isreg() else None
    return stream.read() if stream else b""


def wipe(daemon: Daemon, container: str) -> None:
    daemon.client.delete(f"/containers/{container}", force=1, v=1)
    for volume in daemon.client.get("/volumes").json()["Volumes"]:
        daemon.client.delete(f"/volumes/{volume['Name']}", force=1)


def nothing_is_left(daemon: Daemon) -> None:
    """No container, no volume, and nothing of one on disk."""
    assert daemon.client.get("/containers/json", all=1).json() == []
    assert daemon.client.get("/volumes").json()["Volumes"] == []
    hidden = (".trash-",)
    for folder in (daemon.settings.containers, daemon.settings.volumes):
        assert [p.name for p in folder.iterdir() if not p.name.startswith(hidden)] == []


@pytest.mark.parametrize("secret", [None, PHRASE], ids=["plain", "sealed"])
def test_everything_comes_back_on_another_host(hosts: TwoHosts, secret: Any) -> None:
    container = fill(hosts.source)
    before = inspect(hosts.source, container)
    (made,) = hosts.backup("web", Secret=secret)
    assert made["paused_ms"] > 0
    assert inspect(hosts.source, container)["State"]["Status"] == "running"
    files = root_files(hosts.source, container)
    volumes = {m["Name"]: shown(Path(m["Source"])) for m in before["Mounts"] if m.get("Name")}
    wipe(hosts.source, container)
    (restored,) = hosts.restored(made["ref"], Secret=secret)
    assert restored["id"] == container
    after = inspect(hosts.target, container)
    assert same(after) == same(before)
    assert len(volumes) == 2
    for mount in (m for m in after["Mounts"] if m.get("Name")):
        assert shown(Path(mount["Source"])) == volumes[mount["Name"]]
    blocks = (hosts.target.settings.volumes / "site" / "_data" / "sparse").stat().st_blocks
    assert blocks < 1000
    hosts.target.client.post(f"/containers/{container}/start")
    assert inspect(hosts.target, container)["State"]["Status"] == "running"
    assert root_files(hosts.target, container) == files
    assert "busybox:latest" in hosts.target.client.get("/images/json").json()[0]["RepoTags"]


def test_nothing_changed_adds_nothing_but_the_bill(hosts: TwoHosts) -> None:
    fill(hosts.source)
    time.sleep(0.2)
    hosts.backup("web")
    blobs = set(os.listdir(hosts.place / "blobs" / "sha256"))
    (second,) = hosts.backup("web")
    new = set(os.listdir(hosts.place / "blobs" / "sha256")) - blobs
    assert second["added"] == 0
    assert len(new) == 2  # bill and manifest


def test_a_pause_takes_what_was_written_during_the_first_look(hosts: TwoHosts) -> None:
    script = "mkdir /d; touch /full; n=0; while :; do n=$((n+1)); echo $n > /d/$((n%50)); done"
    fill_quickly = hosts.source.run("sh", "-c", script, name="busy")
    wait_for(hosts.source, fill_quickly, "/full")
    time.sleep(0.3)
    (made,) = hosts.backup("busy")
    hosts.restored(made["ref"])
    hosts.source.client.delete(f"/containers/{fill_quickly}", force=1)
    upper = hosts.target.client.get(f"/containers/{fill_quickly}/changes").json()
    paths = [each["Path"] for each in upper if each["Path"].startswith("/d/")]
    root = hosts.target.settings.containers / fill_quickly / "upper"
    written = sorted(int(text) for p in paths if (text := (root / p[1:]).read_text().strip()))
    # One instant: the numbers that were written last, without a gap but the file being written.
    assert written[-1] - written[0] == len(written) - 1 or len(written) >= 49


def test_several_stand_still_at_one_instant_and_share_a_volume(hosts: TwoHosts) -> None:
    script = "touch /full; while :; do date +%s%N > /data/now; sleep 0.01; done"
    for name in ("one", "two"):
        container = hosts.source.run(
            "sh", "-c", script, name=name, Labels={"com.docker.compose.project": "shop"},
            HostConfig={"Binds": ["shared:/data"]},
        )  # fmt: skip
        wait_for(hosts.source, container, "/full")
    made = hosts.backup(Labels=["com.docker.compose.project=shop"])
    assert {each["container"] for each in made} == {"one", "two"}
    assert len({each["group"] for each in made}) == 1
    assert len({each["created"] for each in made}) == 1
    trees = []
    for each in made:
        parts = hosts.ask("show", Ref=each["ref"]).json()["parts"]
        trees += [part["tree"] for part in parts if part["name"] == "shared"]
    assert len(trees) == 2 and trees[0] == trees[1]
    restored = hosts.restored(Start=True)
    assert {each["name"] for each in restored} == {"one", "two"}
    names = [v["Name"] for v in hosts.target.client.get("/volumes").json()["Volumes"]]
    assert names == ["shared"]


def test_a_volume_shared_with_one_that_goes_on_is_told(hosts: TwoHosts) -> None:
    for name in ("one", "two"):
        hosts.source.run("sleep", "100", name=name, HostConfig={"Binds": ["shared:/data"]})
    (made,) = hosts.backup("one")
    assert any("shared" in each and "two" in each for each in made["warnings"])


@pytest.mark.parametrize("mode", ["stop", "live"])
def test_other_ways_leave_it_running_too(hosts: TwoHosts, mode: str) -> None:
    container = hosts.source.run("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done")
    (made,) = hosts.backup(container, Consistency=mode)
    assert (made["paused_ms"] > 0) is (mode == "stop")
    assert inspect(hosts.source, container)["State"]["Status"] == "running"


def test_hooks_run_in_the_container_around_the_pause(hosts: TwoHosts) -> None:
    container = hosts.source.run("sleep", "100", name="web")
    hosts.backup("web", Pre="echo before > /state", Post="echo after > /state")
    (made,) = hosts.source.client.post(
        "/lading/v1/backups/list", content={"Target": str(hosts.place)}
    ).json()["backups"]
    answer = hosts.ask("cat", Ref=made["ref"], Path="/state")
    assert answer.body == b"before\n"
    state = hosts.source.client.get(f"/containers/{container}/archive", path="/state")
    assert b"after\n" in state.body
    failed = hosts.ask("create", Target=str(hosts.place), Names=["web"], Pre="exit 3")
    assert b"exit code 3" in failed.body
    assert len(hosts.ask("list", Target=str(hosts.place)).json()["backups"]) == 1


class TestRefusals:
    """What cannot be had is listed before anything is changed."""

    def test_all_that_is_in_the_way_is_told_at_once(self, hosts: TwoHosts) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            hosts.source.create("sleep", "1", name="web", HostConfig={
                "Binds": ["site:/data", "/etc:/host"],
                "PortBindings": {"80/tcp": [{"HostPort": str(port)}]},
                "CapAdd": ["SYS_ADMIN"],
                "PidMode": "host",
            })  # fmt: skip
            (made,) = hosts.backup("web")
            hosts.target.client.post("/volumes/create", content={"Name": "site"})
            answer = hosts.restore(made["ref"], Start=True)
        assert answer.status == 409
        for told in (
            "site",
            "--allow bind",
            "--allow cap-add",
            "--allow host-namespace",
            str(port),
        ):
            assert told in answer.message, told
        assert hosts.target.client.get("/containers/json", all=1).json() == []
        assert hosts.target.client.get("/images/json").json() == []

    def test_privileges_come_back_when_they_are_allowed(self, hosts: TwoHosts) -> None:
        hosts.source.create("sleep", "1", name="web", HostConfig={"Privileged": True})
        (made,) = hosts.backup("web")
        assert hosts.restore(made["ref"]).status == 409
        assert hosts.restore(made["ref"], Allow=["nonsense"]).status == 400
        (restored,) = hosts.restored(made["ref"], Allow=["privileged"])
        assert inspect(hosts.target, restored["id"])["HostConfig"]["Privileged"] is True

    def test_names_can_be_others(self, hosts: TwoHosts) -> None:
        fill(hosts.source)
        (made,) = hosts.backup("web")
        answer = hosts.restore(made["ref"], on=hosts.source)
        assert answer.status == 409 and "--name" in answer.message
        mounts = inspect(hosts.source, "web")["Mounts"]
        anonymous = next(m["Name"] for m in mounts if m["Destination"] == "/anonymous")
        volumes = {"site": "site2", anonymous: "other"}
        (restored,) = hosts.restored(made["ref"], on=hosts.source, Name="web2", Volumes=volumes)
        found = inspect(hosts.source, restored["id"])
        assert found["Name"] == "/web2" and found["Id"] != inspect(hosts.source, "web")["Id"]
        assert {m.get("Name") for m in found["Mounts"]} >= {"site2", "other"}
        assert found["HostConfig"]["Binds"] == ["site2:/data"]

    def test_an_image_s_name_is_not_taken_from_another(self, hosts: TwoHosts) -> None:
        hosts.source.create("sleep", "1", name="web")
        (made,) = hosts.backup("web")
        hosts.target.load_busybox()
        theirs = hosts.target.client.get("/images/busybox/json").json()["Id"]
        (other,) = [hosts.target.create("sleep", "1")]
        hosts.target.client.post("/commit", container=other, repo="busybox", tag="latest")
        changed = hosts.target.client.get("/images/busybox/json").json()["Id"]
        assert changed != theirs
        hosts.restored(made["ref"])
        assert hosts.target.client.get("/images/busybox/json").json()["Id"] == changed
        hosts.target.client.delete("/containers/web")
        hosts.restored(made["ref"], Force=True)
        assert hosts.target.client.get("/images/busybox/json").json()["Id"] == theirs

    def test_a_user_network_is_made_again(self, hosts: TwoHosts) -> None:
        asked = {"Name": "shop", "IPAM": {"Config": [{"Subnet": "10.201.7.0/24"}]}}
        assert hosts.source.client.post("/networks/create", content=asked).status == 201
        container = hosts.source.create("sleep", "100", name="web", HostConfig={
            "NetworkMode": "shop"
        }, NetworkingConfig={"EndpointsConfig": {"shop": {"IPAMConfig": {
            "IPv4Address": "10.201.7.9"}}}})  # fmt: skip
        (made,) = hosts.backup("web")
        hosts.source.client.delete(f"/containers/{container}")
        hosts.source.client.delete("/networks/shop")
        hosts.restored(made["ref"], Start=True)
        found = inspect(hosts.target, "web")["NetworkSettings"]["Networks"]["shop"]
        assert found["IPAddress"] == "10.201.7.9"


class TestDamage:
    def test_a_bad_pack_is_named_and_nothing_is_left(self, hosts: TwoHosts) -> None:
        fill(hosts.source)
        (made,) = hosts.backup("web")
        packs = sorted((hosts.place / "blobs" / "sha256").iterdir(), key=lambda p: p.stat().st_size)
        victim = packs[-1]
        content = bytearray(victim.read_bytes())
        content[len(content) // 2] ^= 1
        victim.write_bytes(content)
        answer = hosts.restore(made["ref"])
        assert victim.name in str(answer.body)
        nothing_is_left(hosts.target)
        found = hosts.ask("verify", Target=str(hosts.place), ReadData=True).lines()[-1]["aux"]
        assert any(victim.name in each["problem"] for each in found["findings"])

    def test_a_swapped_blob_is_noticed(self, hosts: TwoHosts) -> None:
        fill(hosts.source)
        (made,) = hosts.backup("web", Secret=PHRASE)
        blobs = sorted((hosts.place / "blobs" / "sha256").iterdir(), key=lambda p: p.stat().st_size)
        one, two = blobs[-1], blobs[-2]
        shutil.copyfile(one, two)
        answer = hosts.restore(made["ref"], Secret=PHRASE)
        assert two.name in str(answer.body)
        nothing_is_left(hosts.target)


def test_unpacked_it_is_loaded_and_run_by_others(hosts: TwoHosts, tmp_path: Path) -> None:
    fill(hosts.source)
    (made,) = hosts.backup("web")
    out = tmp_path / "out"
    assert hosts.ask("unpack", Ref=made["ref"], Path=str(out)).status == 200
    layers = subprocess.run(
        ["skopeo", "inspect", f"docker-archive:{out / 'image.tar'}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert len(json.loads(layers.stdout)["Layers"]) == 2
    volume = next((out / "volumes").glob("*site.tar"))
    listed = subprocess.run(["tar", "-tf", volume], capture_output=True, text=True, check=True)
    assert "folder/text" in listed.stdout
    loaded = hosts.target.docker("load", "-i", str(out / "image.tar"))
    assert loaded.returncode == 0, loaded.stderr
    image = loaded.stdout.split(": ")[1].strip()
    ran = hosts.target.docker("run", "--rm", image, "cat", "/srv/file")
    assert ran.stdout == "hello\n"
    assert hosts.target.docker("run", "--rm", image, "ls", "/bin/vi").returncode != 0
