"""What this host's files say about registries."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lading.registry import hosts
from lading.registry.credentials import InvalidConfig
from lading.registry.hosts import Registries


def loaded(folder: Path, daemon: object = None, toml: str = "") -> Registries:
    if daemon is not None:
        (folder / "daemon.json").write_text(json.dumps(daemon))
    (folder / "registries.toml").write_text(toml)
    return hosts.load(
        daemon_files=(folder / "daemon.json",),
        registries_file=folder / "registries.toml",
        certificate_folders=(folder / "certs.d",),
    )


def test_dockers_registry_is_found_at_its_own_host(tmp_path: Path) -> None:
    assert loaded(tmp_path).home("docker.io").authority == "registry-1.docker.io"


def test_dockers_file_names_insecure_hosts_and_networks(tmp_path: Path) -> None:
    found = loaded(tmp_path, {"insecure-registries": ["one:5000", "10.1.0.0/16"]})
    assert found.home("one:5000").insecure
    assert not found.home("one").insecure
    assert not found.home("one:5001").insecure
    assert [str(net) for net in found.networks] == ["127.0.0.0/8", "::1/128", "10.1.0.0/16"]


def test_mirrors_of_dockers_registry_are_asked_first(tmp_path: Path) -> None:
    found = loaded(tmp_path, {"registry-mirrors": ["https://m.example/", "http://m:5000/sub"]})
    first, second, home = found.endpoints("docker.io")
    assert (first.authority, first.scheme, first.mirror) == ("m.example", "https", True)
    assert (second.authority, second.scheme, second.prefix) == ("m:5000", "http", "/sub")
    assert not home.mirror
    assert len(found.endpoints("ghcr.io")) == 1


def test_our_file_has_mirrors_for_any_registry(tmp_path: Path) -> None:
    found = loaded(
        tmp_path,
        toml='[registry."ghcr.io"]\nmirrors = ["https://a", "https://b"]\n'
        'token-servers = ["tokens.example"]\n[registry."plain:1"]\ninsecure = true\n',
    )
    assert [e.authority for e in found.endpoints("ghcr.io")] == ["a", "b", "ghcr.io"]
    assert found.home("ghcr.io").token_servers == {"tokens.example"}
    assert found.home("plain:1").insecure


@pytest.mark.parametrize(
    "mirror", ["m.example", "ftp://m", "https://", "https://u:p@m", "https://m/?x"]
)
def test_a_mirror_is_a_url(tmp_path: Path, mirror: str) -> None:
    with pytest.raises(hosts.InvalidMirror):
        loaded(tmp_path, {"registry-mirrors": [mirror]})


@pytest.mark.parametrize("daemon", [[], {"insecure-registries": "x"}, {"registry-mirrors": [5]}])
def test_a_file_of_another_shape_is_told_of_by_name(tmp_path: Path, daemon: object) -> None:
    with pytest.raises(InvalidConfig, match=r"daemon\.json"):
        loaded(tmp_path, daemon)


def test_certificates_lie_in_the_folder_of_exactly_that_host(tmp_path: Path) -> None:
    folder = tmp_path / "certs.d" / "one:5000"
    folder.mkdir(parents=True)
    for name in ("ca.crt", "client.cert", "client.key"):
        (folder / name).touch()
    found = loaded(tmp_path).certificates("one:5000")
    assert found.roots == (folder / "ca.crt",)
    assert found.pairs == ((folder / "client.cert", folder / "client.key"),)
    assert loaded(tmp_path).certificates("one").roots == ()
    assert loaded(tmp_path).certificates("..").roots == ()
