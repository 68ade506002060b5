"""Plans for restores: a bill is held to the rules of create, and told all that is in the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

import backup_box
from backup_box import ID, container
from lading.backup.bill import Bill
from lading.backup.plan import CannotRestore, Here, Planned, RestoreRequest, plan
from lading.container.options import (
    Config,
    Device,
    EndpointSettings,
    HostConfig,
    NetworkingConfig,
    PortBinding,
    RestartPolicy,
)
from lading.container.placement import Facts, completed
from lading.container.record import Container
from lading.container.roster import ContainerNotFound
from lading.errors import Invalid
from lading.oci.platform import Platform
from lading.volume.values import MountPoint

FACTS = Facts(frozenset({0, 1}), swap_accounting=True, unified=True, runtime="runc")


def here(**known: Any) -> Here:
    containers: dict[str, Container] = known.get("containers", {})

    def find(ref: str) -> Container:
        if ref in containers:
            return containers[ref]
        raise ContainerNotFound(ref)

    return Here(
        FACTS,
        find,
        lambda name: name in known.get("volumes", ()),
        lambda name: name in known.get("networks", ()),
        lambda address, number, protocol: number not in known.get("ports", ()),
    )


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Bill:
    place: Path = tmp_path_factory.mktemp("plan")
    depot = backup_box.depot(place / "target")
    (place / "v").mkdir()
    captured, _ = backup_box.capture(depot, place / "v")
    made = backup_box.bill(depot, {("layer", ""): captured, ("volume", "site"): captured})
    config = made.image.config.replace(b"amd64", Platform.of_host().architecture.encode())
    if config != made.image.config:
        pytest.skip("the test image is for amd64")
    return made


Make = Callable[..., Bill]


@pytest.fixture
def make(base: Bill) -> Make:
    def bill(**changes: Any) -> Bill:
        host = completed(changes.pop("host", HostConfig(network_mode="none")), FACTS)
        cargo = container(**{"host": host, **changes})
        return msgspec.structs.replace(base, container=cargo)

    return bill


def one(bill: Bill, request: RestoreRequest | None = None, **known: Any) -> Planned:
    (planned,) = plan([bill], request or RestoreRequest(), here(**known))
    return planned


def problems(bill: Bill, request: RestoreRequest | None = None, **known: Any) -> str:
    with pytest.raises(CannotRestore) as caught:
        one(bill, request, **known)
    return str(caught.value)


class TestWhatComesBack:
    def test_id_name_and_options_are_as_they_were(self, make: Make) -> None:
        bill = make()
        found = one(bill).container
        assert (found.id, found.name, found.host) == (ID, "web", bill.container.host)
        assert found.config == bill.container.config

    def test_an_id_that_is_taken_becomes_another(self, make: Make) -> None:
        taken = one(make()).container
        other = msgspec.structs.replace(taken, name="other")
        assert one(make(), containers={ID: other}).container.id != ID

    def test_one_that_has_run_is_one_that_was_stopped(self, make: Make) -> None:
        state = one(make(started_at=5, was_running=True)).container.state
        assert (state.status.value, state.stopped_by_user) == ("exited", True)
        assert state.started_at == 5  # so its volumes are not filled from the image again

    def test_names_are_mapped_wherever_they_stand(self, make: Make) -> None:
        host = HostConfig(
            network_mode="shop",
            binds=["site:/data"],
            mounts=[{"Type": "volume", "Source": "site", "Target": "/again"}],
            port_bindings={"80/tcp": [PortBinding(host_port="8080")]},
        )
        networking = NetworkingConfig(endpoints_config={"shop": EndpointSettings()})
        request = RestoreRequest(
            volumes={"site": "new"}, networks={"shop": "mall"}, ports={"8080": "9090"}
        )
        planned = one(make(host=host, networking=networking), request, networks=["mall"])
        found = planned.container
        assert found.host.network_mode == "mall"
        assert found.networking.endpoints_config == {"mall": EndpointSettings()}
        assert found.host.binds == ["new:/data"]
        assert found.host.mounts is not None and found.host.mounts[0]["Source"] == "new"
        assert found.host.port_bindings == {"80/tcp": [PortBinding(host_port="9090")]}
        assert [point.name for point in found.mounts] == ["new"]
        assert list(planned.volumes) == ["new"]

    def test_joined_containers_are_found_among_the_restored(self, make: Make) -> None:
        joins = make(id="cd" * 32, name="side", host=HostConfig(network_mode=f"container:{ID}"))
        joins = msgspec.structs.replace(joins, parts=joins.parts[:1])
        taken = msgspec.structs.replace(one(make()).container, name="other")
        first, second = plan([make(), joins], RestoreRequest(), here(containers={ID: taken}))
        assert second.container.host.network_mode == f"container:{first.container.id}"


class TestHostileBills:
    @pytest.mark.parametrize("name", ["../../etc/cron.d/x", "a", "-x", "", "a\nb", "x" * 300])
    def test_names_are_those_that_create_takes(self, make: Make, name: str) -> None:
        assert "Invalid container name" in problems(make(name=name))

    @pytest.mark.parametrize("name", ["../../x", "a", "x/y", "..", "a\0b"])
    def test_volumes_too(self, make: Make, name: str) -> None:
        bill = make(mounts=[MountPoint("volume", "/data", name=name, driver="local")])
        part = msgspec.structs.replace(bill.parts[1], name=name)
        assert problems(msgspec.structs.replace(bill, parts=[bill.parts[0], part]))

    @pytest.mark.parametrize(
        "point",
        [
            MountPoint("volume", "data", name="site"),
            MountPoint("volume", "/a/../../b", name="site"),
            MountPoint("volume", "/", name="site"),
            MountPoint("volume", "/data", name="site", subpath="../../x"),
            MountPoint("volume", "/data", name="site", propagation="everywhere"),
            MountPoint("npipe", "/data", name="site"),
        ],
    )
    def test_mounts_too(self, make: Make, point: MountPoint) -> None:
        assert problems(make(mounts=[point]))

    @pytest.mark.parametrize("container_id", ["../../x", "AB" * 32, "ab", ""])
    def test_an_id_is_one_or_is_not_used(self, make: Make, container_id: str) -> None:
        found = one(make(id=container_id)).container.id
        assert len(found) == 64 and found != container_id

    @pytest.mark.parametrize(
        ("kind", "host"),
        [
            ("privileged", HostConfig(privileged=True)),
            ("cap-add", HostConfig(cap_add=["SYS_ADMIN"])),
            (
                "device",
                HostConfig(
                    devices=[
                        Device(
                            path_on_host="/dev/sda",
                            path_in_container="/dev/sda",
                            cgroup_permissions="rwm",
                        )
                    ]
                ),
            ),
            ("device", HostConfig(device_cgroup_rules=["c 1:1 rwm"])),
            ("host-namespace", HostConfig(network_mode="host")),
            ("host-namespace", HostConfig(pid_mode="host")),
            ("host-namespace", HostConfig(ipc_mode="host")),
            ("host-namespace", HostConfig(uts_mode="host")),
            ("security-opt", HostConfig(security_opt=["seccomp=unconfined"])),
            ("security-opt", HostConfig(masked_paths=[])),
            ("security-opt", HostConfig(readonly_paths=["/proc/bus"])),
            ("sysctl", HostConfig(sysctls={"net.ipv4.ip_forward": "1"})),
            ("bind", HostConfig(binds=["/:/host"])),
        ],
    )
    def test_privileges_need_to_be_allowed_by_name(
        self, make: Make, kind: str, host: HostConfig
    ) -> None:
        host = host if host.network_mode else msgspec.structs.replace(host, network_mode="none")
        assert f"--allow {kind}" in problems(make(host=host))
        others = frozenset({"bind", "cap-add", "device", "sysctl"}) - {kind}
        assert f"--allow {kind}" in problems(make(host=host), RestoreRequest(allow=others))
        for allowed in (kind, "all"):
            one(make(host=host), RestoreRequest(allow=frozenset({allowed})))

    def test_binds_among_the_mounts_need_it_too(self, make: Make) -> None:
        point = MountPoint("bind", "/host", source="/", propagation="rprivate")
        assert "--allow bind" in problems(make(mounts=[point]))

    @pytest.mark.parametrize(
        "changes",
        [
            {
                "host": HostConfig(
                    network_mode="none", restart_policy=RestartPolicy(name="nonsense")
                )
            },
            {"host": HostConfig(network_mode="none", memory=1)},
            {"config": Config(cmd=["sh"], stop_signal="SIGNONSENSE")},
        ],
    )
    def test_options_that_create_refuses_are_refused(
        self, make: Make, changes: dict[str, Any]
    ) -> None:
        assert problems(make(**changes))


class TestWhatIsInTheWay:
    def test_all_of_it_is_told_at_once(self, make: Make) -> None:
        host = HostConfig(
            network_mode="shop",
            privileged=True,
            port_bindings={"80/tcp": [PortBinding(host_port="8080")]},
        )
        taken = one(make()).container
        told = problems(
            make(host=host),
            RestoreRequest(start=True),
            containers={"web": taken},
            volumes=["site"],
            ports=[8080],
        )
        for hint in ("--name", "--map-volume", "--map-port", "--map-network", "--allow privileged"):
            assert hint in told

    def test_another_architecture_is_refused(self, make: Make) -> None:
        bill = make()
        config = bill.image.config.replace(b"amd64", b"s390x")
        image = msgspec.structs.replace(bill.image, config=config)
        assert problems(msgspec.structs.replace(bill, image=image))

    def test_what_cannot_be_allowed_is_named(self, make: Make) -> None:
        with pytest.raises(Invalid, match="nothing to allow"):
            one(make(), RestoreRequest(allow=frozenset({"everything"})))

    def test_one_name_is_for_one_backup(self, make: Make) -> None:
        with pytest.raises(Invalid):
            plan([make(), make(name="db")], RestoreRequest(name="x"), here())

    def test_a_tmpfs_is_read_anew(self, make: Make) -> None:
        point = MountPoint("tmpfs", "/t", mode="size=1m", tmpfs_options=("evil=1",))
        (found,) = one(make(mounts=[point])).container.mounts
        assert "evil=1" not in found.tmpfs_options
        assert replace(found, tmpfs_options=()) == replace(point, tmpfs_options=())
