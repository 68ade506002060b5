"""A registry's life: kills, damage, collection, and pushes that none of it harms."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from registry_process import OCI_INDEX, OCI_MANIFEST, Registry, descriptor, digest_of, located

NAME = "life/one"
MakeRegistry = Callable[..., Registry]


@pytest.fixture
def make_registry(tmp_path: Path) -> Iterator[MakeRegistry]:
    made: list[Registry] = []

    def make(*arguments: str) -> Registry:
        registry = Registry(tmp_path, *arguments)
        made.append(registry)
        registry.start()
        return registry

    yield make
    for registry in made:
        registry.end(signal.SIGKILL)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB where the registry's root will be."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    place = tmp_path / "registry"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def blob_file(registry: Registry, digest: str) -> Path:
    algorithm, _, hex = digest.partition(":")
    return registry.root / "blobs" / algorithm / hex[:2] / hex


def raw_of(document: object) -> bytes:
    return json.dumps(document).encode()


class TestCrashes:
    def test_what_was_acknowledged_survives_a_kill(self, make_registry: MakeRegistry) -> None:
        registry = make_registry()
        raw = raw_of(registry.image(NAME))
        registry.push_manifest(NAME, "kept", raw)
        registry.end(signal.SIGKILL)
        registry.start()
        assert registry.ask("GET", f"/v2/{NAME}/manifests/kept").body == raw
        for layer in json.loads(raw)["layers"]:
            assert registry.ask("GET", f"/v2/{NAME}/blobs/{layer['digest']}").status == 200

    @pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
    def test_an_upload_goes_on_after_a_kill(
        self, make_registry: MakeRegistry, algorithm: str
    ) -> None:
        registry, content = make_registry(), os.urandom(5000)
        location = registry.begin(NAME)
        registry.ask("PATCH", location, content[:3000])
        registry.end(signal.SIGKILL)
        registry.start()
        assert registry.ask("GET", location)["Range"] == "0-2999"
        rest = {"Content-Range": "3000-4999"}
        taken = registry.ask("PATCH", location, content[3000:], rest)
        created = registry.ask("PUT", located(taken), digest=digest_of(content, algorithm))
        assert registry.ask("GET", located(created)).body == content

    def test_a_broken_connection_keeps_what_came(self, make_registry: MakeRegistry) -> None:
        registry = make_registry()
        location = registry.begin(NAME)
        with socket.create_connection(("127.0.0.1", registry.port)) as client:
            head = f"PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
            client.sendall(head.encode() + b"x" * 400)
            time.sleep(0.2)
        deadline = time.monotonic() + 5
        while registry.ask("GET", location)["Range"] != "0-399":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        registry.ask("PATCH", location, b"y" * 100)
        whole = b"x" * 400 + b"y" * 100
        assert registry.ask("PUT", location, digest=digest_of(whole)).status == 201

    def test_two_writers_of_one_upload_do_not_mix(self, make_registry: MakeRegistry) -> None:
        registry = make_registry()
        location = registry.begin(NAME)
        with socket.create_connection(("127.0.0.1", registry.port)) as client:
            head = f"PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
            client.sendall(head.encode() + b"x" * 400)
            time.sleep(0.2)
            assert registry.ask("PATCH", location, b"y").status == 409

    def test_leftovers_are_swept_at_the_start(self, make_registry: MakeRegistry) -> None:
        registry = make_registry()
        registry.end()
        stray = blob_file(registry, digest_of(b"stray"))
        stray.write_bytes(b"stray")
        (registry.root / "staging" / "blob-x").write_bytes(b"half")
        registry.start()
        deadline = time.monotonic() + 5
        while stray.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert not (registry.root / "staging" / "blob-x").exists()

    def test_a_second_server_on_the_root_is_refused(self, make_registry: MakeRegistry) -> None:
        registry = make_registry()
        second = registry.command("serve", "--addr", "127.0.0.1:0")
        assert second.returncode == 1
        assert "another registry is serving" in second.stderr

    def test_it_ends_at_once_when_asked(self, make_registry: MakeRegistry) -> None:
        registry = make_registry()
        began = time.monotonic()
        assert registry.end() == 0
        assert time.monotonic() - began < 5

    def test_kills_in_the_middle_of_pushes_take_back_nothing(
        self, make_registry: MakeRegistry
    ) -> None:
        registry = make_registry()
        kept: dict[str, bytes] = {}
        for round in range(4):
            killer = threading.Timer(0.1 + round * 0.07, registry.end, (signal.SIGKILL,))
            killer.start()
            with suppress(OSError, HTTPException):
                while True:
                    raw = raw_of(registry.image(NAME))
                    tag = f"t{len(kept)}"
                    if registry.push_manifest(NAME, tag, raw).status == 201:
                        kept[tag] = raw
            killer.join()
            registry.start()
        assert kept
        for tag, raw in kept.items():
            assert registry.ask("GET", f"/v2/{NAME}/manifests/{tag}").body == raw
            for row in json.loads(raw)["layers"]:
                assert registry.ask("GET", f"/v2/{NAME}/blobs/{row['digest']}").status == 200

    def test_a_full_disk_refuses_one_push_and_harms_nothing(
        self, small_disk: Path, make_registry: MakeRegistry
    ) -> None:
        registry = make_registry()
        raw = raw_of(registry.image(NAME))
        registry.push_manifest(NAME, "kept", raw)
        content = os.urandom(20 << 20)
        answer = registry.ask(
            "POST", f"/v2/{NAME}/blobs/uploads/", content, digest=digest_of(content)
        )
        assert answer.status == 507
        assert registry.ask("GET", f"/v2/{NAME}/manifests/kept").body == raw
        registry.push_blob(NAME, os.urandom(100_000))
        assert not list((registry.root / "uploads").iterdir())


class TestDamage:
    @pytest.mark.parametrize("restarted", [False, True])
    def test_wrong_bytes_are_never_sent_and_can_be_pushed_again(
        self, make_registry: MakeRegistry, restarted: bool
    ) -> None:
        registry, content = make_registry(), os.urandom(4000)
        digest = registry.push_blob(NAME, content)
        path = f"/v2/{NAME}/blobs/{digest}"
        assert registry.ask("GET", path).body == content
        with blob_file(registry, digest).open("r+b") as file:
            file.seek(2000)
            file.write(b"?")
        if restarted:
            registry.end()
            registry.start()
        answer = registry.ask("GET", path)
        assert (answer.status, answer.codes) == (404, ["BLOB_UNKNOWN"])
        assert registry.ask("HEAD", path).status == 404
        assert len(list((registry.root / "blobs" / "damaged").iterdir())) == 1
        registry.push_blob(NAME, content)
        assert registry.ask("GET", path).body == content

    def test_a_damaged_manifest_is_an_error(self, make_registry: MakeRegistry) -> None:
        registry = make_registry()
        raw = raw_of(registry.image(NAME))
        registry.push_manifest(NAME, "bad", raw)
        file = blob_file(registry, digest_of(raw))
        file.write_bytes(raw.replace(b"schemaVersion", b"schemaVersioN"))
        assert registry.ask("GET", f"/v2/{NAME}/manifests/bad").status == 404
        registry.push_manifest(NAME, "bad", raw)
        assert registry.ask("GET", f"/v2/{NAME}/manifests/bad").body == raw

    def test_scrub_names_what_is_damaged(self, make_registry: MakeRegistry) -> None:
        registry = make_registry()
        good, bad = registry.push_blob(NAME, b"good"), registry.push_blob(NAME, b"bad")
        blob_file(registry, bad).write_bytes(b"BAD")
        done = registry.command("scrub")
        assert done.returncode == 1
        assert done.stdout == f"{bad} is damaged: push it again to {NAME}\n"
        assert registry.ask("HEAD", f"/v2/{NAME}/blobs/{good}").status == 200
        assert registry.ask("HEAD", f"/v2/{NAME}/blobs/{bad}").status == 404


class TestCollection:
    def test_a_deleted_manifest_frees_its_bytes_and_no_others(
        self, make_registry: MakeRegistry
    ) -> None:
        registry = make_registry()
        gone, kept = raw_of(registry.image(NAME)), registry.image(NAME)
        kept["layers"].append(json.loads(gone)["layers"][0])
        registry.push_manifest(NAME, "gone", gone)
        registry.push_manifest(NAME, "kept", kept)
        registry.ask("DELETE", f"/v2/{NAME}/manifests/{digest_of(gone)}")
        preview = registry.command("gc", "--grace", "0s", "--dry-run").stdout
        shared, alone = (row["digest"] for row in json.loads(gone)["layers"])
        assert blob_file(registry, alone).exists()
        done = registry.command("gc", "--grace", "0s").stdout
        assert sorted(preview.splitlines()[:-1]) == sorted(done.splitlines()[:-1])
        assert not blob_file(registry, alone).exists()
        assert not blob_file(registry, digest_of(gone)).exists()
        assert registry.ask("GET", f"/v2/{NAME}/blobs/{alone}").status == 404
        assert registry.ask("GET", f"/v2/{NAME}/blobs/{shared}").status == 200
        assert registry.ask("GET", f"/v2/{NAME}/manifests/kept").status == 200

    def test_the_manifests_of_a_deleted_index_go_with_it(self, make_registry: MakeRegistry) -> None:
        registry = make_registry()
        child, tagged = raw_of(registry.image(NAME)), raw_of(registry.image(NAME))
        registry.push_manifest(NAME, digest_of(child), child)
        registry.push_manifest(NAME, "tagged", tagged)
        index = raw_of(
            {
                "schemaVersion": 2,
                "mediaType": OCI_INDEX,
                "manifests": [descriptor(raw, OCI_MANIFEST) for raw in (child, tagged)],
            }
        )
        registry.push_manifest(NAME, "index", index)
        registry.ask("DELETE", f"/v2/{NAME}/manifests/{digest_of(index)}")
        registry.command("gc", "--grace", "0s")
        assert registry.ask("GET", f"/v2/{NAME}/manifests/{digest_of(child)}").status == 404
        assert registry.ask("GET", f"/v2/{NAME}/manifests/tagged").body == tagged

    def test_a_push_in_progress_is_not_harmed(self, make_registry: MakeRegistry) -> None:
        registry = make_registry()
        registry.begin(NAME)
        document = registry.image(NAME)
        registry.command("gc", "--grace", "0s")
        assert registry.push_manifest(NAME, "late", document).status == 201

    def test_collecting_all_the_time_breaks_no_manifest(self, make_registry: MakeRegistry) -> None:
        registry = make_registry()
        stop = threading.Event()

        def collect() -> None:
            while not stop.is_set():
                assert registry.command("gc", "--grace", "1s").returncode == 0

        collector = threading.Thread(target=collect)
        collector.start()
        try:
            for number in range(30):
                raw = raw_of(registry.image(NAME))
                assert registry.push_manifest(NAME, f"t{number}", raw).status == 201
                if number % 2:
                    registry.ask("DELETE", f"/v2/{NAME}/manifests/{digest_of(raw)}")
        finally:
            stop.set()
            collector.join()
        for tag in registry.ask("GET", f"/v2/{NAME}/tags/list").json["tags"]:
            document = registry.ask("GET", f"/v2/{NAME}/manifests/{tag}").json
            for row in (document["config"], *document["layers"]):
                assert registry.ask("GET", f"/v2/{NAME}/blobs/{row['digest']}").status == 200

    def test_retention_keeps_the_newest(self, make_registry: MakeRegistry) -> None:
        registry = make_registry()
        for number in range(4):
            registry.push_manifest(NAME, f"n{number}", registry.image(NAME))
        registry.push_manifest(NAME, "stable", registry.image(NAME))
        rule = ("retain", "--tags", "n*", "--keep-last", "2")
        told = registry.command(*rule, "--dry-run").stdout
        assert len(registry.ask("GET", f"/v2/{NAME}/tags/list").json["tags"]) == 5
        assert registry.command(*rule).stdout == told == f"{NAME}:n0\n{NAME}:n1\n"
        tags = registry.ask("GET", f"/v2/{NAME}/tags/list").json["tags"]
        assert tags == ["n2", "n3", "stable"]

    def test_a_repository_may_keep_no_more_than_its_quota(
        self, make_registry: MakeRegistry
    ) -> None:
        registry = make_registry("--repository-quota", "10k")
        registry.push_blob(NAME, os.urandom(8000))
        content = os.urandom(8000)
        path = f"/v2/{NAME}/blobs/uploads/"
        refused = registry.ask("POST", path, content, digest=digest_of(content))
        assert (refused.status, refused.codes) == (403, ["DENIED"])
        patched = registry.ask("PATCH", registry.begin(NAME), content)
        assert patched.status == 403
        assert registry.ask("POST", "/v2/other/blobs/uploads/", content,
                            digest=digest_of(content)).status == 201  # fmt: skip


class TestMemory:
    def test_a_large_blob_takes_little_memory(self, make_registry: MakeRegistry) -> None:
        registry = make_registry()
        piece, count = os.urandom(1 << 20), 256
        digest = (
            "sha256:"
            + subprocess.run(["sha256sum"], input=piece * count, capture_output=True, check=True)
            .stdout.split()[0]
            .decode()
        )
        location = registry.begin(NAME)
        before = _peak(registry.pid)
        with socket.create_connection(("127.0.0.1", registry.port)) as client:
            head = f"PUT {location}?digest={digest} HTTP/1.1\r\nHost: x\r\n"
            client.sendall(f"{head}Content-Length: {len(piece) * count}\r\n\r\n".encode())
            for _ in range(count):
                client.sendall(piece)
            assert client.recv(100).startswith(b"HTTP/1.1 201")
        answer = registry.ask("GET", f"/v2/{NAME}/blobs/{digest}", headers={"Range": "bytes=-5"})
        assert answer.body == piece[-5:]
        assert _peak(registry.pid) - before < 48 << 20


def _peak(pid: int) -> int:
    line = next(
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmHWM" in line
    )
    return int(line.split()[1]) * 1024
