"""daemon: what its flags mean, and what it will not begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from lading.cli.commands.daemon import COMMANDS, settings
from lading.cli.faults import Misuse
from lading.settings import Settings


def meant(*words: str, host: str = "", debug: bool = False) -> Settings:
    return settings(COMMANDS["daemon"].parse(words), host, debug=debug)


def test_without_flags_it_is_the_default_engine() -> None:
    assert meant() == Settings()


def test_every_flag_has_its_place(tmp_path: Path) -> None:
    found = meant(
        *("--root", f"{tmp_path}/root", "--run-root", f"{tmp_path}/run"),
        *("--host", f"unix://{tmp_path}/sock", "--snapshotter", "overlay", "--runtime", "sh"),
        *("--subnet", "10.5.0.0/24", "--log-max-size", "1m", "--log-max-files", "5", "--debug"),
    )
    assert found == Settings(
        root=tmp_path / "root",
        run_root=tmp_path / "run",
        host=f"unix://{tmp_path}/sock",
        snapshotter="overlay",
        runtime="sh",
        subnet="10.5.0.0/24",
        log_max_bytes=1024 * 1024,
        log_max_files=5,
        debug=True,
    )


def test_a_root_of_ones_own_meets_no_other_engine(tmp_path: Path) -> None:
    found = meant("--root", str(tmp_path / "root"))
    assert found.run_root != Settings().run_root
    assert found.socket.parent == found.run_root


def test_the_flag_goes_before_what_stood_before_the_command() -> None:
    assert meant(host="unix:///a").host == "unix:///a"
    assert meant("-H", "unix:///b", host="unix:///a").host == "unix:///b"
    assert meant(debug=True).debug


def test_dockers_bip_names_the_bridge_and_its_subnet() -> None:
    assert meant("--bip", "10.5.0.1/24").subnet == "10.5.0.0/24"


@pytest.mark.parametrize(
    "words",
    [
        ("--host", "tcp://127.0.0.1:2375"),
        ("--host", "fd://"),
        ("--host", "unix://relative"),
        ("--root", ""),
        ("--root", "/"),
        ("--root", "/srv/a\nb"),
        ("--root", "/srv/x", "--run-root", "/srv/x/run"),
        ("--root", "/srv/x/root", "--run-root", "/srv/x"),
        ("--snapshotter", "btrfs"),
        ("--runtime", "no-such-runtime"),
        ("--subnet", "10.5.0.1/24"),
        ("--subnet", "127.0.0.0/8"),
        ("--bip", "10.5.0.7/24"),
        ("--bip", "nonsense"),
        ("--bip", "10.5.0.1/24", "--subnet", "10.5.0.0/24"),
        ("--log-max-size", "1k"),
        ("--log-max-size", "much"),
        ("--log-max-files", "0"),
    ],
)
def test_bad_values_are_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(Misuse):
        meant(*words)


def test_registries_are_told_as_to_dockers_daemon() -> None:
    found = meant(
        *("--insecure-registry", "one:5000", "--insecure-registry", "10.0.0.0/8"),
        *("--registry-mirror", "https://mirror.example"),
    )
    assert found.insecure_registries == ("one:5000", "10.0.0.0/8")
    assert found.registry_mirrors == ("https://mirror.example",)
    with pytest.raises(Misuse, match="invalid mirror"):
        meant("--registry-mirror", "mirror.example")
