"""df, prune, reset, info, version, volumes and networks: Docker's words, tables and prompts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest

from canned_engine import Asked, CannedEngine
from lading import __version__

Lading = Callable[..., Any]
A = "sha256:" + "a" * 64
VOLUMES = [
    {"Name": "site", "Driver": "local", "Labels": {"a": "b"}, "Mountpoint": "/v/site",
     "Options": None, "Scope": "local", "UsageData": {"RefCount": 1, "Size": 5000}},
    {"Name": "anon", "Driver": "local", "Labels": None, "Mountpoint": "/v/anon",
     "Options": None, "Scope": "local", "UsageData": {"RefCount": 0, "Size": 70000}},
]  # fmt: skip


def filters(asked: Asked) -> Any:
    return json.loads(parse_qs(asked.target.partition("?")[2])["filters"][0])


@pytest.fixture
def pruned(engine: CannedEngine) -> CannedEngine:
    engine.answers |= {
        "POST /containers/prune": {"ContainersDeleted": ["c" * 64], "SpaceReclaimed": 1234},
        "POST /networks/prune": {"NetworksDeleted": ["back"]},
        "POST /images/prune": {
            "ImagesDeleted": [{"Untagged": "a:1"}, {"Deleted": A}],
            "SpaceReclaimed": 5,
        },
        "POST /volumes/prune": {"VolumesDeleted": ["site"], "SpaceReclaimed": 5000},
        "POST /build/prune": {"CachesDeleted": None, "SpaceReclaimed": 0},
    }
    return engine


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What the user answers."""
    import io

    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_df_counts_what_images_share_once(engine: CannedEngine, lading: Lading) -> None:
    image = {"Id": A, "Created": 0, "RepoTags": ["b:1"], "RepoDigests": []}
    engine.answers["GET /system/df"] = {
        "LayersSize": 3_000_000,
        "Images": [
            {**image, "Size": 2_000_000, "SharedSize": 1_000_000, "Containers": 1},
            {**image, "Size": 2_000_000, "SharedSize": 1_000_000, "Containers": 0},
        ],
        "Containers": [
            {"State": "running", "SizeRw": 4096},
            {"State": "exited", "SizeRw": 100000},
        ],
        "Volumes": VOLUMES,
        "BuildCache": [],
    }
    assert lading("system", "df").out.splitlines() == [
        "TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE",
        "Images          2         1         3MB       2MB (66%)",
        "Containers      2         1         104.1kB   100kB (96%)",
        "Local Volumes   2         1         75kB      70kB (93%)",
        "Build Cache     0         0         0B        0B",
    ]


@pytest.mark.parametrize("answer", ["", "\n", "n\n", "yes please\n"])
def test_nothing_is_removed_without_a_clear_yes(
    answer: str, typed: Callable[[str], None], pruned: CannedEngine, lading: Lading
) -> None:
    typed(answer)
    for words in (("container",), ("image",), ("volume",), ("system",)):
        ended = lading(*words, "prune")
        assert ended.code == 0
        assert "Are you sure you want to continue? [y/N] " in ended.out
    assert pruned.asked == []


@pytest.mark.parametrize("answer", ["y\n", "Y\n", "yes\n"])
def test_a_yes_removes_and_tells_what_is_free(
    answer: str, typed: Callable[[str], None], pruned: CannedEngine, lading: Lading
) -> None:
    typed(answer)
    out = lading("container", "prune").out
    assert out.endswith(f"Deleted Containers:\n{'c' * 64}\n\nTotal reclaimed space: 1.234kB\n")


def test_image_prune_asks_for_dangling_ones_unless_for_all(
    pruned: CannedEngine, lading: Lading
) -> None:
    out = lading("image", "prune", "-f").out
    assert out == f"Deleted Images:\nuntagged: a:1\ndeleted: {A}\n\nTotal reclaimed space: 5B\n"
    lading("image", "prune", "-af", "--filter", "until=24h")
    assert filters(pruned.asked[0]) == {"dangling": ["true"]}
    assert filters(pruned.asked[1]) == {"dangling": ["false"], "until": ["24h"]}


def test_named_volumes_go_only_with_all(pruned: CannedEngine, lading: Lading) -> None:
    lading("volume", "prune", "-f")
    lading("volume", "prune", "-a", "-f")
    assert "?" not in pruned.asked[0].target
    assert filters(pruned.asked[1]) == {"all": ["true"]}


def test_system_prune_spares_volumes_unless_asked(pruned: CannedEngine, lading: Lading) -> None:
    assert lading("system", "prune", "-f").out.endswith("Total reclaimed space: 1.239kB\n")
    assert [a.path for a in pruned.asked] == [
        "/containers/prune",
        "/networks/prune",
        "/images/prune",
        "/build/prune",
    ]
    assert lading("system", "prune", "-f", "--volumes").out.endswith("space: 6.239kB\n")
    assert lading("system", "prune", "-f", "--volumes", "--filter", "until=1h").code == 1


def test_reset_says_what_it_removes_and_asks(
    typed: Callable[[str], None], engine: CannedEngine, lading: Lading
) -> None:
    engine.answers |= {
        "GET /info": {"DockerRootDir": "/srv/root"},
        "POST /lading/v1/system/reset": (204, b""),
    }
    typed("n\n")
    ended = lading("system", "reset")
    assert "below /srv/root" in ended.out and engine.host in ended.out
    assert [a.method for a in engine.asked] == ["GET"]
    assert lading("system", "reset", "--force").code == 0
    assert [a.method for a in engine.asked] == ["GET", "POST"]


def test_version_shows_both_sides(engine: CannedEngine, lading: Lading) -> None:
    details = {"ApiVersion": "1.50", "MinAPIVersion": "1.24", "Os": "linux", "Arch": "amd64"}
    engine.answers["GET /version"] = {
        "Version": "9.9",
        "Components": [{"Name": "Engine", "Version": "9.9", "Details": details}],
    }
    out = lading("version").out
    assert f" Version:           {__version__}" in out
    assert "API version:      1.50 (minimum version 1.24)" in out
    shown = lading("version", "--format", "{{.Client.Version}} {{.Server.Version}}")
    assert shown.out == f"{__version__} 9.9\n"


def test_without_an_engine_the_own_version_is_shown_and_the_exit_code_tells(
    lading: Lading, tmp_path: Any
) -> None:
    ended = lading("--host", f"unix://{tmp_path}/none", "version")
    assert ended.code == 1
    assert __version__ in ended.out and "Is it running?" in ended.err


def test_info_shows_warnings_apart(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["GET /info"] = {
        "Containers": 3,
        "Driver": "erofs",
        "SecurityOptions": ["name=seccomp,profile=builtin"],
        "LiveRestoreEnabled": True,
        "Warnings": ["WARNING: No swap limit support"],
    }
    ended = lading("info")
    for line in (" Containers: 3", " Storage Driver: erofs", "  seccomp", "   Profile: builtin"):
        assert line in ended.out.splitlines()
    assert ended.err == "\nWARNING: No swap limit support\n"
    assert lading("info", "-f", "{{.Driver}}").out == "erofs\n"


def test_volumes_are_listed_by_name(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["GET /volumes"] = {"Volumes": VOLUMES, "Warnings": None}
    assert lading("volume", "ls").out == ("DRIVER    VOLUME NAME\nlocal     anon\nlocal     site\n")
    assert lading("volume", "ls", "-q").out == "anon\nsite\n"
    labels = lading("volume", "ls", "--format", '{{.Name}}={{.Label "a"}}').out
    assert labels == "anon=\nsite=b\n"


def test_a_volume_is_made_with_its_labels_and_options(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["POST /volumes/create"] = (201, VOLUMES[0])
    options = ("--label", "a=b", "--label", "bare", "-o", "type=tmpfs", "-o", "o=size=1m")
    assert lading("volume", "create", *options, "site").out == "site\n"
    assert engine.asked[0].json() == {
        "Name": "site",
        "Driver": "local",
        "DriverOpts": {"type": "tmpfs", "o": "size=1m"},
        "Labels": {"a": "b", "bare": ""},
    }


def test_a_volume_that_stays_does_not_keep_the_others(engine: CannedEngine, lading: Lading) -> None:
    engine.answers |= {
        "DELETE /volumes/used": (409, {"message": "volume is in use"}),
        "DELETE /volumes/free": (204, b""),
    }
    ended = lading("volume", "rm", "-f", "used", "free")
    assert (ended.code, ended.out, ended.err) == (1, "free\n", "lading: volume is in use\n")
    assert all("force=1" in asked.target for asked in engine.asked)


def test_networks_are_listed_by_name(engine: CannedEngine, lading: Lading) -> None:
    engine.answers["GET /networks"] = [
        {"Name": name, "Id": digit * 64, "Created": "2026-01-01T00:00:00.5Z", "Scope": "local",
         "Driver": driver, "EnableIPv4": True, "EnableIPv6": False, "Labels": {}}
        for name, digit, driver in (("none", "2", "null"), ("bridge", "1", "bridge"))
    ]  # fmt: skip
    assert lading("network", "ls").out.splitlines() == [
        "NETWORK ID     NAME      DRIVER    SCOPE",
        "111111111111   bridge    bridge    local",
        "222222222222   none      null      local",
    ]
    created = lading("network", "ls", "--format", "{{.CreatedAt}} {{.IPv6}}").out.splitlines()[0]
    assert created == "2026-01-01 00:00:00.5 +0000 UTC false"
