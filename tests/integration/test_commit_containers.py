"""Images of containers: what is in them, what stands still for them, and what failure leaves."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from container_host import ContainerHost
from lading.container import freezing, omissions
from lading.container.commit import BeingRemoved, CommitRequest, Committed
from lading.container.omissions import WouldNotHold
from lading.container.options import Config, HostConfig, RestartPolicy
from lading.container.record import Container
from lading.container.roster import ContainerNotFound
from lading.container.states import State
from lading.errors import Invalid
from lading.image.changes import InvalidChange
from lading.image.image import Image
from lading.layer import pack
from lading.linux import mounts
from lading.oci.digest import Digest
from lading.oci.reference import Reference
from lading.store.blobs import BlobStore
from lading.volume.values import MountPoint
from tarball import Tarball
from trees import shown

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
NAME = Reference.parse("saved:1")


@pytest.fixture(params=["erofs", "overlay", "copying"])
def any_host(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[ContainerHost]:
    yield from _host(tmp_path, request.param)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[ContainerHost]:
    yield from _host(tmp_path, None)


def _host(place: Path, driver: str | None) -> Iterator[ContainerHost]:
    made = ContainerHost(place, driver)
    try:
        yield made
    finally:
        made.close()
        below = f"{place}/"
        assert [e.target for e in mounts.table() if str(e.target).startswith(below)] == []


def base() -> Tarball:
    tar = Tarball().directory("srv").file("srv/page", b"page").file("srv/old", b"old")
    return tar.directory("gone").file("gone/x", b"x")


def changed(host: ContainerHost, **options: object) -> Container:
    """A container with a change of every kind."""
    image = host.image(base(), Env=["A=1"], Cmd=["sh"], Labels={"made": "here"})
    config = Config(cmd=["sh"], env=["A=1"], labels={"made": "here"})
    container = host.container(image, config=config, **options)  # type: ignore[arg-type]  # its own
    root = host.root(container)
    (root / "srv/page").write_text("changed")
    (root / "srv/old").unlink()
    (root / "gone/x").unlink()
    (root / "gone").rmdir()
    (root / "srv/new").write_text("new")
    (root / "srv/same").hardlink_to(root / "srv/new")
    (root / "srv/out").symlink_to("/etc/shadow")
    os.mknod(root / "srv/null", 0o020666, os.makedev(1, 3))
    (root / "srv/\udcff").write_text("odd")
    os.setxattr(root / "srv/new", "user.colour", b"red")
    os.chown(root / "srv/new", 1000, 1001)
    os.utime(root / "srv/new", ns=(1, 1_500_000_000_987_654_321))
    return container


def commit(host: ContainerHost, container: Container, **options: object) -> Committed:
    return host.committer.commit(container.id, CommitRequest(NAME, **options))  # type: ignore[arg-type]  # its own


def image_of(host: ContainerHost, made: Committed) -> Image:
    return host.library.image(made.image_id)


def seen(host: ContainerHost, image: Image) -> dict[bytes, tuple[object, ...]]:
    """All that a container of *image* would begin with."""
    place = host.settings.root / "seen"
    place.mkdir(exist_ok=True)
    host.snapshotter.view("seen", host.library.mountable(image))
    try:
        mounts.perform(host.snapshotter.mounts("seen"), place)
        return inside(place)
    finally:
        mounts.unmount(place, lazy=True)
        host.snapshotter.remove("seen")


def inside(root: Path) -> dict[bytes, tuple[object, ...]]:
    """Everything but the root directory itself, of which layers made by Docker say nothing."""
    return {path: row for path, row in shown(root).items() if path != b"."}


def names(host: ContainerHost) -> list[str]:
    return [tag for row in host.library.list() for tag in row.tags]


class TestTheImage:
    def test_holds_what_the_container_sees(self, any_host: ContainerHost) -> None:
        container = changed(any_host)
        made = commit(any_host, container)
        assert seen(any_host, image_of(any_host, made)) == inside(any_host.root(container))

    def test_stands_on_the_containers_image(self, any_host: ContainerHost) -> None:
        container = changed(any_host)
        made = image_of(any_host, commit(any_host, container, comment="why", author="ann"))
        parent = any_host.library.resolve("base")
        assert made.diff_ids[:-1] == parent.diff_ids
        assert any_host.library.parent(made.id) == parent.id
        row = made.config.history[-1]
        assert (row.created_by, row.comment, row.author) == ("sh", "why", "ann")
        assert made.config.author == "ann"
        assert any_host.library.resolve("saved:1").id == made.id

    def test_the_layer_is_the_same_each_time_and_kept_once(self, any_host: ContainerHost) -> None:
        container = changed(any_host)
        first = image_of(any_host, commit(any_host, container))
        blobs = {*any_host.library.blobs.all()}
        second = image_of(any_host, commit(any_host, container, comment="again"))
        assert first.diff_ids == second.diff_ids
        assert first.manifest.layers == second.manifest.layers
        assert len({*any_host.library.blobs.all()} - blobs) == 2  # a config and a manifest

    def test_runs_as_the_container_does(self, host: ContainerHost) -> None:
        made = image_of(host, commit(host, changed(host)))
        assert made.config.run == {"Env": ["A=1"], "Cmd": ["sh"], "Labels": {"made": "here"}}

    def test_changes_are_applied(self, host: ContainerHost) -> None:
        changes = ("CMD httpd -f", "ENV B=2", "EXPOSE 80", "USER 1000", 'ENTRYPOINT ["/init"]')
        run = image_of(host, commit(host, changed(host), changes=changes)).config.run
        assert run["Cmd"] == ["/bin/sh", "-c", "httpd -f"]
        assert run["Env"] == ["A=1", "B=2"]
        assert run["ExposedPorts"] == {"80/tcp": {}}
        assert run["User"] == "1000"
        assert run["Entrypoint"] == ["/init"]
        assert run["Labels"] == {"made": "here"}

    def test_a_config_of_its_own_is_completed_by_the_containers(self, host: ContainerHost) -> None:
        asked = Config(cmd=["httpd"], env=["C=3"])
        run = image_of(host, commit(host, changed(host), config=asked)).config.run
        assert run["Cmd"] == ["httpd"]
        assert run["Env"] == ["C=3", "A=1"]

    def test_without_changes_there_is_no_layer(self, host: ContainerHost) -> None:
        container = host.container(host.image(base()))
        made = image_of(host, commit(host, container))
        assert made.diff_ids == host.library.resolve("base").diff_ids
        assert made.config.history[-1].empty_layer

    def test_an_event_tells_of_it(self, host: ContainerHost) -> None:
        container = changed(host)
        made = commit(host, container, comment="why")
        (told,) = [event for event in host.bus.history() if event.action == "commit"]
        assert told.actor == container.id
        assert told.attributes["imageID"] == str(made.image_id)
        assert told.attributes["imageRef"] == "saved:1"


class TestWithoutItsImage:
    def test_the_layers_are_enough(self, any_host: ContainerHost) -> None:
        container = changed(any_host)
        any_host.library.remove("base", force=True)
        made = image_of(any_host, commit(any_host, container))
        assert seen(any_host, made) == inside(any_host.root(container))
        assert made.config.run["Env"] == ["A=1"]
        if any_host.snapshotter.name != "overlay":  # which keeps no tars
            assert [str(layer) for layer in made.diff_ids[:-1]] == container.layers
        again = any_host.container(made, name="again")
        assert inside(any_host.root(again)) == inside(any_host.root(container))


class TestThePause:
    def test_the_container_stands_still_and_goes_on(self, host: ContainerHost) -> None:
        container = changed(host)
        with host.running(container):
            made = commit(host, container)
            assert made.paused_ms > 0
            assert not host.runtime.group(container.id).frozen()
            assert host.roster.find("web").container.state.status is State.RUNNING
        actions = [event.action for event in host.bus.history() if event.kind == "container"]
        assert actions == ["pause", "unpause", "commit"]

    def test_it_stands_still_while_its_files_are_read(
        self, host: ContainerHost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        container = changed(host)
        frozen = []
        packed = pack.pack

        def watched(*arguments: object) -> None:
            frozen.append(host.runtime.group(container.id).frozen())
            packed(*arguments)  # type: ignore[arg-type]  # passed on as it came
            frozen.append(host.runtime.group(container.id).frozen())

        monkeypatch.setattr(pack, "pack", watched)
        with host.running(container):
            commit(host, container)
        assert frozen == [True, True]

    def test_an_image_is_of_one_moment(self, host: ContainerHost) -> None:
        """A program that writes two files in turn never has one two steps ahead of the other."""
        container = changed(host)
        root = host.root(container)
        program = (
            "n=0; while :; do n=$((n+1)); echo $n > one.new; mv one.new one; "
            "echo $n > two.new; mv two.new two; done"
        )
        with host.running(container, "sh", "-c", f"cd '{root}/srv' && {program}"):
            while not (root / "srv/two").exists():
                time.sleep(0.01)
            for _ in range(5):
                image = image_of(host, commit(host, container))
                one, two = (_content(host, image, name) for name in ("one", "two"))
                assert 0 <= int(one) - int(two) <= 1

    def test_it_can_be_declined_and_is_not_for_what_does_not_run(self, host: ContainerHost) -> None:
        container = changed(host)
        assert commit(host, container).paused_ms == 0
        with host.running(container):
            assert commit(host, container, pause=False).paused_ms == 0
        assert "pause" not in [event.action for event in host.bus.history()]

    def test_a_paused_container_stays_paused(self, host: ContainerHost) -> None:
        container = changed(host)
        with host.running(container):
            slot = host.roster.find("web")
            host.runtime.pause(container.id)
            slot.container = slot.container.with_state(status=State.PAUSED)
            assert commit(host, container).paused_ms == 0
            assert host.runtime.group(container.id).frozen()
            assert slot.container.state.status is State.PAUSED

    def test_an_engine_that_died_meanwhile_leaves_it_to_the_next(self, host: ContainerHost) -> None:
        container = changed(host)
        with host.running(container):
            host.runtime.pause(container.id)
            (host.places.directory(container.id) / freezing._MARK).touch()
            host.freezer.recover([container.id])
            assert not host.runtime.group(container.id).frozen()
            host.runtime.pause(container.id)  # by a user
            host.freezer.recover([container.id])
            assert host.runtime.group(container.id).frozen()

    def test_whoever_would_stop_it_waits(
        self, host: ContainerHost, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        container = changed(host)
        reading, go_on = threading.Event(), threading.Event()
        packed = pack.pack

        def slow(*arguments: object) -> None:
            reading.set()
            assert go_on.wait(10)
            packed(*arguments)  # type: ignore[arg-type]  # passed on as it came

        monkeypatch.setattr(pack, "pack", slow)
        slot = host.roster.find("web")
        with host.running(container):
            thread = threading.Thread(target=commit, args=(host, container))
            thread.start()
            try:
                assert reading.wait(10)
                assert not slot.lock.acquire(timeout=0.05)
            finally:
                go_on.set()
                thread.join()
            assert slot.lock.acquire(timeout=1)
            slot.lock.release()


class TestFailure:
    """Whatever goes wrong: no image, nothing stored, and the container goes on."""

    @pytest.fixture
    def container(self, host: ContainerHost) -> Iterator[Container]:
        made = changed(host)
        before = {*host.library.blobs.all()}, {*host.snapshotter.layers()}
        with host.running(made):
            yield made
            assert not host.runtime.group(made.id).frozen()
            assert host.roster.find("web").container.state.status is State.RUNNING
            assert not (host.places.directory(made.id) / "frozen").exists()
        assert names(host) == ["base:latest"]
        assert ({*host.library.blobs.all()}, {*host.snapshotter.layers()}) == before
        assert list(host.settings.staging.iterdir()) == []

    def test_of_reading(
        self, host: ContainerHost, container: Container, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(root: Path, changes: object, out: io.RawIOBase) -> None:
            out.write(Tarball().file("srv/big", b"x" * 500_000).content[:300_000])
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(pack, "pack", broken)
        with pytest.raises(OSError, match="Input/output error"):
            commit(host, container)

    def test_of_storing(
        self, host: ContainerHost, container: Container, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(store: BlobStore, *arguments: object) -> Digest:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(BlobStore, "link", full)
        with pytest.raises(OSError, match="No space"):
            commit(host, container)

    def test_of_the_last_step(
        self, host: ContainerHost, container: Container, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*arguments: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(host.library.catalogue, "keep", full)
        with pytest.raises(OSError, match="No space"):
            commit(host, container)

    def test_of_an_instruction_is_seen_before_anything_stands_still(
        self, host: ContainerHost, container: Container
    ) -> None:
        with pytest.raises(InvalidChange):
            commit(host, container, changes=("RUN make",))
        assert "pause" not in [event.action for event in host.bus.history()]

    def test_of_a_name(self, host: ContainerHost, container: Container) -> None:
        digest = Reference.parse(f"saved@{Digest.of(b'')}")
        with pytest.raises(Invalid, match="digest"):
            host.committer.commit("web", CommitRequest(digest))

    def test_of_a_container_on_its_way_out(self, host: ContainerHost, container: Container) -> None:
        slot = host.roster.find("web")
        slot.container = container.with_state(status=State.REMOVING)
        with pytest.raises(BeingRemoved, match=r"cannot commit container .* being removed"):
            commit(host, container)
        slot.container = container.with_state(status=State.RUNNING)

    def test_of_finding_it(self, host: ContainerHost, container: Container) -> None:
        with pytest.raises(ContainerNotFound):
            host.committer.commit("nobody", CommitRequest())


class TestWhatItLacks:
    @pytest.fixture
    def container(self, host: ContainerHost) -> Container:
        volume = host.volumes.create("data")
        (volume.path / "rows").write_bytes(b"x" * 12345)
        return host.container(
            host.image(base()),
            MountPoint("volume", "/data", name="data"),
            host=HostConfig(restart_policy=RestartPolicy(name="always")),
        )

    def test_is_told_with_sizes(self, host: ContainerHost, container: Container) -> None:
        assert commit(host, container).not_included == (
            omissions.NotIncluded("volume", "data", "/data", 12345),
            omissions.NotIncluded("restart policy", "always"),
        )

    def test_is_an_error_when_strict(self, host: ContainerHost, container: Container) -> None:
        with pytest.raises(WouldNotHold, match=r"volume data \(/data\), restart policy always"):
            commit(host, container, strict=True)
        assert names(host) == ["base:latest"]

    def test_nothing_lacks_where_there_is_nothing_else(self, host: ContainerHost) -> None:
        assert commit(host, changed(host), strict=True).not_included == ()


def test_ten_thousand_files_of_200_megabytes_take_a_second_or_two(host: ContainerHost) -> None:
    container = host.container(host.image(base()))
    root = host.root(container)
    content = os.urandom(20 * 1024)
    for folder in range(100):
        (root / f"srv/{folder}").mkdir()
        for name in range(100):
            (root / f"srv/{folder}/{name}").write_bytes(content)
    began = time.monotonic()
    commit(host, container)
    assert time.monotonic() - began < 5


def _content(host: ContainerHost, image: Image, name: str) -> str:
    place = host.settings.root / "content"
    place.mkdir(exist_ok=True)
    host.snapshotter.view("content", host.library.mountable(image))
    try:
        mounts.perform(host.snapshotter.mounts("content"), place)
        return (place / "srv" / name).read_text()
    finally:
        mounts.unmount(place, lazy=True)
        host.snapshotter.remove("content")
