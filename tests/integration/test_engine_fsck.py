"""`lading fsck` finds what is damaged and mends what can be mended; `lading gc` frees the rest."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine_daemon import BUSYBOX, Daemon
from image_box import Layout, large_layer

EXTRA = "extra:1"


@pytest.fixture
def host(own_daemon: Daemon) -> Iterator[Daemon]:
    layout = Layout()
    image = layout.image([large_layer("one"), large_layer("two")])
    layout.root(image, f"docker.io/library/{EXTRA}")
    own_daemon.directory.joinpath("extra.tar").write_bytes(layout.tar)
    load(own_daemon)
    if own_daemon.client.get("/info").json()["Driver"] != "erofs":
        pytest.skip("erofs does not work here")
    yield own_daemon


def load(host: Daemon) -> None:
    archive = host.directory.joinpath("extra.tar").read_bytes()
    assert b"Loaded image" in host.client.post("/images/load", body=archive).body


def lading(host: Daemon, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lading", "--host", host.settings.host, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def fsck(host: Daemon, *flags: str) -> tuple[int, dict[str, Any]]:
    done = lading(host, "fsck", "--format", "json", *flags)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def damage(report: dict[str, Any]) -> list[str]:
    return [f["Kind"] for f in report["Findings"] if f["Gravity"] == "damage"]


def leftovers(report: dict[str, Any]) -> list[tuple[str, str]]:
    found = report["Findings"]
    return [(f["Kind"], f["Subject"]) for f in found if f["Gravity"] == "leftover"]


def layer_of(host: Daemon, number: int = 0, image: str = EXTRA) -> tuple[Path, Path]:
    """Where a layer and its blob lie."""
    shown = host.client.get(f"/lading/v1/images/{image}/json").json()["Lading"]["Layers"][number]
    return Path(shown["Path"]), blob(host, shown["Digest"])


def blob(host: Daemon, digest: str) -> Path:
    digits = digest.removeprefix("sha256:")
    return host.settings.blobs / "sha256" / digits[:2] / digits


def flip(path: Path) -> None:
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def execute(host: Daemon, sql: str, *parameters: str) -> None:
    """Change a row behind the daemon's back."""
    with closing(sqlite3.connect(host.settings.state_db, timeout=10)) as database:
        database.execute(sql, parameters)
        database.commit()


def tree(root: Path) -> dict[str, tuple[int, int, int]]:
    """What lies below the root, by path, the database and mounted file systems left out."""
    found = {}
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if not os.path.ismount(os.path.join(folder, name))]
        for name in (*names, *files):
            path = Path(folder, name)
            seen = path.lstat()
            if not name.startswith("state.db") and name != "fs":
                found[str(path)] = (seen.st_ino, seen.st_size, seen.st_mtime_ns)
    return found


def test_a_sound_root_has_no_findings(host: Daemon) -> None:
    host.run("sleep", "1000")
    volume = host.client.post("/volumes/create", content={"Name": "kept"})
    assert volume.status == 201
    before = tree(host.settings.root)
    for flags in ((), ("--read-data",), ("--repair",)):
        code, report = fsck(host, *flags)
        assert (code, report["Findings"], report["Damaged"]) == (0, [], 0)
        assert report["Checked"]["Layers"] == 3
        assert report["Checked"]["Containers"] == report["Checked"]["Volumes"] == 1
        assert all(use["Taken"] == use["Owned"] for use in report["Usage"])
    assert tree(host.settings.root) == before
    assert "no damage left" in lading(host, "fsck").stdout


MENDED: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "short index": (lambda home, blob: os.truncate(home / "layer.erofs", 999), ""),
    "no index": (lambda home, blob: (home / "layer.erofs").unlink(), ""),
    "no record": (lambda home, blob: (home / "layer.json").unlink(), ""),
    "flipped index": (lambda home, blob: flip(home / "layer.erofs"), ""),
    "short tar": (lambda home, blob: os.truncate(home / "layer.tar", 999), ""),
    "rotten tar": (lambda home, blob: flip(home / "layer.tar"), "--read-data"),
}


@pytest.mark.parametrize("how", MENDED)
def test_a_layer_is_mended_from_its_tar_or_its_blob(host: Daemon, how: str) -> None:
    break_it, flag = MENDED[how]
    flags = [flag] if flag else []
    home, its_blob = layer_of(host)
    break_it(home, its_blob)
    before = tree(host.settings.root)
    code, report = fsck(host, *flags)
    assert (code, damage(report)) == (1, ["layer"])
    assert EXTRA in report["Findings"][0]["Remedy"]
    assert tree(host.settings.root) == before  # only looked at
    code, report = fsck(host, "--repair", *flags)
    assert code == 0
    assert report["Findings"][0]["Repaired"]
    assert fsck(host, "--read-data")[1]["Findings"] == []
    assert hashlib.sha256((home / "layer.tar").read_bytes()).hexdigest() == home.name


def test_a_layer_that_is_gone_is_no_damage_while_its_blob_is_here(host: Daemon) -> None:
    home, _ = layer_of(host)
    shutil.rmtree(home)
    code, report = fsck(host)
    assert code == 0
    assert [f["Gravity"] for f in report["Findings"]] == ["note"]
    assert fsck(host, "--repair")[0] == 0
    assert home.is_dir()
    assert fsck(host, "--read-data")[1]["Findings"] == []


@pytest.mark.parametrize(("break_it", "flags"), [(flip, ("--read-data",)), (os.unlink, ())])
def test_a_bad_blob_is_put_aside_and_the_image_named(
    host: Daemon, break_it: Callable[[Path], object], flags: tuple[str, ...]
) -> None:
    _, its_blob = layer_of(host)
    break_it(its_blob)
    code, report = fsck(host, *flags)
    assert (code, len(damage(report))) == (1, 1)
    code, report = fsck(host, "--repair", *flags)
    assert code == 1  # it cannot be made from anything that is here
    assert not its_blob.exists()
    missing = next(f for f in report["Findings"] if f["Kind"] == "image")
    assert missing["Remedy"] == f"load or pull {EXTRA} again"
    assert "cannot be saved or pushed" in missing["Problem"]
    load(host)
    assert damage(fsck(host, "--read-data")[1]) == []
    assert lading(host, "gc").returncode == 0
    assert fsck(host, "--read-data")[1]["Findings"] == []


def test_a_blob_that_is_a_layers_tar_is_had_from_it(host: Daemon) -> None:
    home, its_blob = layer_of(host, image=BUSYBOX)
    assert its_blob.samefile(home / "layer.tar")
    copy = its_blob.with_name("copy")
    shutil.copy(its_blob, copy)
    flip(copy)
    copy.rename(its_blob)
    code, report = fsck(host, "--read-data", "--repair")
    assert code == 0
    assert report["Findings"][0]["Repaired"] == "replaced by the layer's tar"
    assert its_blob.samefile(home / "layer.tar")


@pytest.mark.parametrize("which", ["manifest", "config"])
def test_an_image_without_documents_is_put_aside(host: Daemon, which: str) -> None:
    shown = host.client.get(f"/lading/v1/images/{EXTRA}/json").json()
    digest = shown["Lading"]["Manifest"] if which == "manifest" else shown["Id"]
    flip(blob(host, digest))
    code, report = fsck(host)
    assert (code, set(damage(report))) == (1, {"blob", "image"})
    host.kill()
    host.start()
    assert lading(host, "gc").returncode == 1  # nobody knows what the image needs
    assert layer_of(host, image=BUSYBOX)[0].is_dir()
    code, report = fsck(host, "--repair")
    assert code == 0
    assert host.client.get(f"/images/{EXTRA}/json").status == 404
    assert [f["Gravity"] for f in fsck(host)[1]["Findings"] if f["Kind"] == "row"] == ["note"] * 2
    load(host)
    lading(host, "gc")
    assert fsck(host, "--read-data")[1]["Findings"] == []


def test_names_without_an_image_are_put_aside(host: Daemon) -> None:
    row = json.dumps({"image": "sha256:" + "0" * 64}).encode()
    execute(
        host, "INSERT INTO records VALUES ('name', ?, CAST(? AS BLOB))",
        "docker.io/library/nobody:1", row.decode(),
    )  # fmt: skip
    code, report = fsck(host)
    assert (code, damage(report)) == (1, ["row"])
    assert fsck(host, "--repair")[0] == 0
    assert damage(fsck(host)[1]) == []


def test_rows_that_cannot_be_read_are_told(host: Daemon) -> None:
    sql = "UPDATE records SET value = x'00' WHERE kind = 'name' AND key LIKE '%extra%'"
    execute(host, sql)
    code, report = fsck(host)
    assert code == 0
    (finding,) = (f for f in report["Findings"] if f["Kind"] == "row")
    assert (finding["Gravity"], finding["Subject"]) == ("note", "name docker.io/library/extra:1")
    load(host)
    assert fsck(host)[1]["Findings"] == []


def test_containers_and_volumes_without_files_are_told(host: Daemon) -> None:
    container = host.create("true", name="bare")
    host.client.post("/volumes/create", content={"Name": "bare"})
    (host.settings.containers / container / "snapshot.json").unlink()
    shutil.rmtree(host.settings.volumes / "bare")
    (host.settings.volumes / "found" / "_data").mkdir(parents=True)
    code, report = fsck(host, "--repair")
    assert code == 1
    assert sorted(damage(report)) == ["container", "volume"]
    assert [f["Subject"] for f in report["Findings"] if f["Gravity"] == "note"] == ["found"]
    assert (host.settings.volumes / "found" / "_data").is_dir()  # never what a user wrote
    host.client.delete(f"/containers/{container}", force=1)
    host.client.delete("/volumes/bare", force=1)
    assert damage(fsck(host)[1]) == []


def orphans(host: Daemon) -> list[Path]:
    """A blob, a layer and a container's folder that no row names."""
    stray = blob(host, hashlib.sha256(b"stray").hexdigest())
    stray.write_bytes(b"stray")
    home, _ = layer_of(host)
    layer = home.with_name("f" * 64)
    shutil.copytree(home, layer)
    folder = host.settings.containers / ("e" * 64)
    (folder / "upper").mkdir(parents=True)
    (folder / "upper" / "file").write_text("x")
    os.utime(folder, (time.time() - 7200,) * 2)
    return [stray, layer, folder]


def test_orphans_are_told_and_freed(host: Daemon) -> None:
    made = orphans(host)
    code, report = fsck(host)
    assert code == 0
    assert {kind for kind, _ in leftovers(report)} == {"blob", "layer", "folder"}
    assert any(use["Taken"] > use["Owned"] for use in report["Usage"])
    assert all(path.exists() for path in made)
    assert fsck(host, "--repair")[0] == 0
    assert not any(path.exists() for path in made)
    assert fsck(host)[1]["Findings"] == []


def test_mounts_that_nothing_uses_are_taken_off(host: Daemon) -> None:
    target = host.settings.containers / ("e" * 64) / "rootfs"
    target.mkdir(parents=True)
    inside = ("nsenter", f"--mount=/proc/{host.pid}/ns/mnt", "mount", "-t", "tmpfs", "x")
    subprocess.run([*inside, str(target)], check=True)
    code, report = fsck(host)
    assert code == 0
    assert ("mount", str(target)) in leftovers(report)
    fsck(host, "--repair")
    assert str(target) not in Path(f"/proc/{host.pid}/mountinfo").read_text()


def test_gc_frees_only_what_nothing_needs(host: Daemon) -> None:
    host.run("sleep", "1000")
    stray, layer, _ = orphans(host)
    shown = json.loads(lading(host, "gc", "--dry-run", "--format", "json").stdout)
    assert {piece["Kind"] for piece in shown["Freed"]} == {"blob", "layer"}
    assert shown["Complete"]
    assert stray.exists()
    done = lading(host, "gc")
    assert done.returncode == 0
    assert "Total reclaimed space" in done.stdout
    assert not stray.exists()
    assert not layer.exists()
    assert "0B" in lading(host, "gc").stdout
    assert host.exit_code(host.run("true")) == 0
    assert host.client.get(f"/images/{EXTRA}/get").status == 200


def test_it_runs_beside_loads_and_containers(host: Daemon) -> None:
    words = [sys.executable, "-m", "lading", "--host", host.settings.host]
    check = [*words, "fsck", "--read-data", "--repair"]
    for turn in range(4):
        with subprocess.Popen(check, stdout=subprocess.PIPE, text=True) as going:
            host.client.delete(f"/images/{EXTRA}", force=1)
            load(host)
            assert host.exit_code(host.run("true")) == 0
            out, _ = going.communicate()
        assert going.returncode == 0, (turn, out)
        assert lading(host, "gc").returncode == 0
        assert host.client.get(f"/images/{EXTRA}/get").status == 200
    assert damage(fsck(host, "--read-data")[1]) == []


def test_an_unknown_format_is_refused(host: Daemon) -> None:
    done = lading(host, "fsck", "--format", "yaml")
    assert done.returncode == 1
    assert "text or json" in done.stderr


@pytest.mark.parametrize("driver", ["overlay", "copying"])
def test_other_drivers_are_checked_too(make_daemon: Callable[..., Daemon], driver: str) -> None:
    host = make_daemon("--snapshotter", driver)
    assert host.exit_code(host.run("true")) == 0
    code, report = fsck(host, "--read-data")
    assert (code, report["Findings"]) == (0, [])
    for path in (host.settings.layers / driver).glob("[0-9a-f]*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert fsck(host, "--repair")[0] == 0
    assert fsck(host, "--read-data")[1]["Findings"] == []
    assert host.exit_code(host.run("true")) == 0
