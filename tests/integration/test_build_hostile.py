"""HOSTILE 69 to 76: Dockerfiles, contexts and stages that want more than they are given."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_box import BuildBox
from engine_daemon import Daemon
from tarball import Tarball

CANARY = "canary-3f9c1e77-of-a-secret"


@pytest.fixture
def box(daemon: Daemon) -> Iterator[BuildBox]:
    box = BuildBox(daemon)
    yield box
    box.clear()
    assert box.leavings() == []


class TestBindMounts:
    def test_a_source_that_is_a_link_stays_in_its_stage(self, box: BuildBox) -> None:
        """HOSTILE 69: the link leads to the stage's root, not to the host's."""
        built = box.build(
            "FROM busybox AS x\nRUN touch /of-the-stage; ln -s / /lnk; ln -s ../../../.. /up\n"
            "FROM busybox\n"
            "RUN --mount=type=bind,from=x,source=/lnk,target=/m ls /m > /a\n"
            "RUN --mount=type=bind,from=x,source=/up,target=/m,rw ls /m > /b\n"
        )
        for name in ("a", "b"):
            seen = box.run(built.image, f"cat /{name}").split()
            assert "of-the-stage" in seen
            assert not {"boot", "work"} & set(seen)

    def test_a_source_in_the_context_cannot_leave_it(self, box: BuildBox) -> None:
        tar = Tarball().symlink("lnk", "/etc")
        text = "FROM busybox\nRUN --mount=type=bind,source=lnk,target=/m ls /m\n"
        assert "not found" in box.build(text, tar).error
        text = "FROM busybox\nRUN --mount=type=bind,source=../../../etc,target=/m ls /m\n"
        assert "not found" in box.build(text).error

    @pytest.mark.parametrize("source", ["", "from=x,"])
    def test_what_is_written_into_one_is_discarded(self, box: BuildBox, source: str) -> None:
        """HOSTILE 74: the context and the stage are what they were."""
        mount = f"--mount=type=bind,{source}source=/d,target=/m"
        built = box.build(
            "FROM busybox AS x\nCOPY d /d\n"
            "FROM busybox\n"
            f"RUN {mount} sh -c 'echo no > /m/f 2>/dev/null' || echo refused > /r\n"
            f"RUN {mount},rw echo new > /m/f && echo more > /m/g && cat /m/f > /w\n"
            f"RUN {mount} ls /m > /l; cat /m/f >> /l\nCOPY d /copy\n",
            {"d/f": "old\n"},
        )
        told = box.run(built.image, "cat /r /w /l; ls /copy; cat /copy/f; ls -d /m 2>&1; true")
        assert told.splitlines()[:6] == ["refused", "new", "f", "old", "f", "old"]
        assert "No such file" in told  # the mount's place is no change of the image

    @pytest.mark.parametrize("option", ["bind-propagation=rshared", "options=rbind", "rbind"])
    def test_only_known_options_are_taken(self, box: BuildBox, option: str) -> None:
        """HOSTILE 71."""
        text = f"FROM busybox\nRUN --mount=type=bind,target=/m,{option} true\n"
        assert "Dockerfile:2" in box.build(text, {"f": "x"}).error


class TestCacheMounts:
    @pytest.mark.parametrize("identity", ["../../../etc", "/etc", ".", "a/../../b", "x" * 5000])
    def test_identities_lead_nowhere(self, box: BuildBox, identity: str) -> None:
        """HOSTILE 70."""
        before = sorted(os.listdir("/etc"))
        mount = f"--mount=type=cache,id={identity},target=/c"
        text = f"FROM busybox\nRUN {mount} echo x > /c/mine; ls /c\n"
        assert "\nmine\n" in box.build(text).text
        assert sorted(os.listdir("/etc")) == before
        folder = box.daemon.settings.root / "build" / "caches"
        (place,) = folder.iterdir()
        assert len(place.name) == 64

    def test_a_source_is_a_copy_of_what_it_names_inside_its_stage(self, box: BuildBox) -> None:
        built = box.build(
            "FROM busybox AS x\nRUN mkdir /d; echo seed > /d/s; ln -s /d /lnk\n"
            "FROM busybox\n"
            "RUN --mount=type=cache,from=x,source=/lnk,target=/c cat /c/s; echo y > /c/t\n"
            "RUN --mount=type=cache,from=x,source=/lnk,target=/c cat /c/t; true 2\n"
        )
        assert "seed\n" in built.text
        assert "\ny\n" in built.text
        refused = box.build(
            "FROM busybox\nRUN --mount=type=cache,from=busybox,source=../../../x,target=/d true\n"
        )
        assert "not found" in refused.error

    def test_they_keep_their_content_and_are_in_no_layer(self, box: BuildBox) -> None:
        text = (
            "FROM busybox\nRUN --mount=type=cache,target=/c cat /c/n; echo {} >> /c/n; touch /{}\n"
        )
        box.build(text.format(1, 1).replace("cat /c/n;", ""))
        built = box.build(text.format(2, 2))
        assert "\n1\n" in built.text
        assert "No such file" in box.run(built.image, "ls /c 2>&1; true")

    def test_locked_ones_wait_for_each_other(self, box: BuildBox) -> None:
        run = (
            "RUN --mount=type=cache,id=l,target=/c,sharing=locked"
            " [ ! -e /c/busy ] && touch /c/busy && sleep 0.5 && rm /c/busy && echo {0} > /{0}\n"
        )
        built = box.build(
            f"FROM busybox AS a\n{run.format('a')}FROM busybox AS b\n{run.format('b')}"
            "FROM busybox\nCOPY --from=a /a /\nCOPY --from=b /b /\n"
        )
        assert box.run(built.image, "cat /a /b") == "a\nb\n"

    def test_private_ones_are_apart(self, box: BuildBox) -> None:
        run = (
            "RUN --mount=type=cache,id=p,target=/c,sharing=private"
            " touch /c/{0}; sleep 0.5; ls /c > /{0}\n"
        )
        built = box.build(
            f"FROM busybox AS a\n{run.format('a')}FROM busybox AS b\n{run.format('b')}"
            "FROM busybox\nCOPY --from=a /a /\nCOPY --from=b /b /\n"
        )
        assert box.run(built.image, "cat /a /b") == "a\nb\n"

    def test_stages_that_swap_what_they_share_see_nothing_else(self, box: BuildBox) -> None:
        """HOSTILE 72: 10,000 looks through a link that changes all the time."""
        swap = (
            "while [ ! -e /c/end ]; do ln -sfn / /c/l; rm -f /c/l; mkdir -p /c/l; rmdir /c/l; done"
        )
        look = (
            "i=0; while [ $i -lt 10000 ]; do i=$((i+1)); [ -e /c/l/boot ] && echo ESCAPE; done;"
            " touch /c/end; echo looked"
        )
        mount = "--mount=type=cache,id=race,target=/c"
        text = (
            f"FROM busybox AS a\nRUN {mount} {swap}\nFROM busybox AS b\nRUN {mount} {look}\n"
            f"FROM busybox\nCOPY --from=a /bin/sh /\nCOPY --from=b /bin/sh /\n"
            f"RUN {mount},source=l,from=a true\n"
        )
        built = box.build(text)
        assert "ESCAPE" not in built.text.splitlines()
        assert "looked" in built.text

    def test_builder_prune_frees_them(self, box: BuildBox) -> None:
        box.build(
            "FROM busybox\nRUN --mount=type=cache,target=/c head -c 100000 /dev/urandom > /c/r\n"
        )
        (mount,) = [row for row in box.cache() if row["Type"] == "exec.cachemount"]
        assert mount["Size"] >= 100_000
        box.prune()
        assert list((box.daemon.settings.root / "build" / "caches").iterdir()) == []


class TestMountPlaces:
    def test_a_mount_place_that_became_a_link_harms_nothing(
        self, box: BuildBox, tmp_path: Path
    ) -> None:
        """HOSTILE 73: a place made for a mount is never cleaned up by its name."""
        victim = tmp_path / "victim"
        victim.mkdir()
        (victim / "empty").touch()
        text = (
            "FROM busybox\n"
            f"RUN --mount=type=tmpfs,target={victim}/empty-dir"
            f" mv {tmp_path} /moved; ln -s {tmp_path} {tmp_path} ; true\n"
        )
        box.build(text)
        assert (victim / "empty").exists()

    def test_images_with_links_in_place_of_directories_are_refused(self, box: BuildBox) -> None:
        box.build("FROM busybox\nRUN rm -rf /run && ln -s /proc /run\n", t="evil")
        text = "FROM evil\nRUN --mount=type=secret,id=s cat /run/secrets/s\n"
        assert "refused" in box.build(text, secrets={"s": "x"}).error


class TestContexts:
    """HOSTILE 75."""

    def test_a_dockerfile_that_is_a_link_out_is_not_found(self, box: BuildBox) -> None:
        tar = Tarball().symlink("Dockerfile", "/etc/shadow")
        assert "failed to read dockerfile" in box.build("", tar).error
        tar = Tarball().symlink("Dockerfile", "../../../../etc/shadow")
        assert "failed to read dockerfile" in box.build("", tar).error

    @pytest.mark.parametrize("name", ["/etc/shadow", "../../../../etc/shadow"])
    def test_a_dockerfiles_name_leads_nowhere_else(self, box: BuildBox, name: str) -> None:
        assert "failed to read dockerfile" in box.build("FROM busybox\n", named=name).error

    def test_a_dockerfile_that_is_a_pipe_or_a_device_is_refused(self, box: BuildBox) -> None:
        assert "not a regular file" in box.build("", Tarball().fifo("Dockerfile")).error

    def test_contexts_that_lead_out_are_refused(self, box: BuildBox) -> None:
        tar = Tarball().file("../../out", b"x")
        assert "leads out of the archive" in box.build("FROM busybox\n", tar).error
        tar = Tarball().symlink("d", "/").file("d/escaped-from-a-context", b"x")
        box.build("FROM busybox\n", tar)
        assert not Path("/escaped-from-a-context").exists()

    def test_remote_contexts_are_refused(self, box: BuildBox) -> None:
        for remote in ("https://h/x.git#m:../../", "file:///etc", "--upload-pack=x", "git://h/x"):
            assert "not supported" in box.build("FROM busybox\n", remote=remote).error


class TestSecrets:
    """HOSTILE 76: the value is nowhere, whatever becomes of the step."""

    def store(self, box: BuildBox) -> list[str]:
        """The files of the engine that hold the canary, its log and rows included."""
        found = []
        settings = box.daemon.settings
        for top in (settings.root, settings.run_root, box.daemon.directory):
            for above, _, names in os.walk(top):
                for name in names:
                    path = Path(above) / name
                    if path.is_file() and not path.is_symlink():
                        try:
                            if CANARY.encode() in path.read_bytes():
                                found.append(str(path))
                        except OSError:
                            continue
        return found

    def test_a_step_that_works_keeps_nothing_of_it(self, box: BuildBox) -> None:
        text = (
            "FROM busybox\n"
            "RUN --mount=type=secret,id=s,required"
            " wc -c < /run/secrets/s; stat -c '%a %u' /run/secrets/s\n"
            "RUN --mount=type=secret,id=s,target=/t,mode=0440,uid=5 stat -c '%a %u' /t\n"
            'RUN --mount=type=secret,id=s,env=TOKEN test -n "$TOKEN"\n'
            'RUN ls /run/secrets /t 2>&1; echo "env=$TOKEN"\n'
        )
        built = box.build(text, secrets={"s": CANARY}, t="made")
        assert f"{len(CANARY)}\n400 0\n" in built.text
        assert "440 5\n" in built.text
        assert "env=\n" in built.text
        assert "No such file" in built.text
        assert self.store(box) == []
        assert CANARY not in str(box.inspect("made")) + str(box.history("made"))

    def test_a_step_that_fails_keeps_nothing_of_it(self, box: BuildBox) -> None:
        text = "FROM busybox\nRUN --mount=type=secret,id=s cp /run/secrets/s /copied; exit 1\n"
        assert box.build(text, secrets={"s": CANARY}).code == 1
        assert self.store(box) == []

    def test_another_value_is_no_reason_to_do_it_again(self, box: BuildBox) -> None:
        text = "FROM busybox\nRUN --mount=type=secret,id=s true\n"
        box.build(text, secrets={"s": "one"})
        assert box.build(text, secrets={"s": "two"}).hits == 1

    def test_one_that_is_required_and_missing_is_named(self, box: BuildBox) -> None:
        text = "FROM busybox\nRUN --mount=type=secret,id=token,required true\n"
        assert "secret token: not found" in box.build(text).error

    def test_a_parcel_is_for_one_build(self, box: BuildBox) -> None:
        word = box.parcel({"Secrets": {"s": "eA=="}})
        text = "FROM busybox\nRUN --mount=type=secret,id=s,required true\n"
        assert "Successfully built" in box.build(text, parcel=word).text
        assert "not here any more" in box.build(text, parcel=word).error
