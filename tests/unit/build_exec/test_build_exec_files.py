"""Which files COPY takes, where they land, and that the same files make the same layer."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lading.build import globs, modes
from lading.build.copying import (
    IsADirectory,
    Marks,
    NeedsADirectory,
    NotADirectory,
    arrange,
    newest,
    write_layer,
)
from lading.build.globs import BadPattern
from lading.build.landing import TooManyLinks, landing
from lading.build.modes import InvalidChmod
from lading.build.picking import Fingerprints, NothingMatches, pick


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """``f``, ``g``, ``d/a``, ``d/e/b.txt``; links in and out."""
    place = tmp_path / "root"
    (place / "d" / "e").mkdir(parents=True)
    for name in ("f", "g", "d/a", "d/e/b.txt"):
        (place / name).write_text(name)
    (place / "in").symlink_to("/d/e")
    (place / "out").symlink_to("../../../../etc/passwd")
    (place / "loop").symlink_to("loop")
    return place


@pytest.fixture
def root_fd(root: Path) -> Iterator[int]:
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


class TestGlobs:
    @pytest.mark.parametrize(
        ("pattern", "found"),
        [
            ("f", ["f"]),
            ("[fg]", ["f", "g"]),
            ("[^f]", ["d", "g"]),
            ("[a-e]", ["d"]),
            ("?", ["d", "f", "g"]),
            ("d/*", ["d/a", "d/e"]),
            ("*/*/*.txt", ["d/e/b.txt"]),
            ("in/b*", ["in/b.txt"]),
            ("\\f", ["f"]),
            ("none*", []),
            ("f/*", []),
            ("loop/*", []),
            ("", [""]),
        ],
    )
    def test_patterns_are_gos(self, root_fd: int, pattern: str, found: list[str]) -> None:
        assert globs.found(root_fd, os.fsencode(pattern)) == [os.fsencode(each) for each in found]

    @pytest.mark.parametrize("pattern", ["[", "[a", "[]a]", "[-]", "[a-]", "[z-a]", "a\\"])
    def test_what_is_none_is_said_to_be(self, root_fd: int, pattern: str) -> None:
        with pytest.raises(BadPattern):
            globs.compiled(os.fsencode(pattern))

    @pytest.mark.parametrize(
        ("path", "clean"),
        [("../../x", b"x"), ("/", b""), (".", b""), ("a/../../b", b"b"), ("//a//b/", b"a/b")],
    )
    def test_paths_end_at_the_root(self, path: str, clean: bytes) -> None:
        assert globs.cleaned(path) == clean

    def test_many_stars_are_matched_in_no_time(self) -> None:
        assert not globs.compiled(b"*" * 5000 + b"x").fullmatch(b"a" * 200)


class TestPicking:
    def test_links_lead_inside_the_root_or_nowhere(self, root: Path) -> None:
        (linked,) = pick(root, ["in"])
        assert (linked.path, linked.name, linked.inner) == (b"d/e", b"in", (b"b.txt",))
        for name in ("out", "loop", "none"):
            with pytest.raises(NothingMatches):
                pick(root, [name])

    def test_a_directory_holds_everything_below_it_parents_first(self, root: Path) -> None:
        (whole,) = pick(root, ["d"])
        assert whole.inner == (b"a", b"e", b"e/b.txt")

    def test_what_is_excluded_is_left_out_but_for_what_leads_to_the_rest(self, root: Path) -> None:
        (some,) = pick(root, ["d"], exclude=["e", "!e/b.txt", "a"])
        assert some.inner == (b"e", b"e/b.txt")
        assert pick(root, ["f", "g"], exclude=["g"])[0].name == b"f"
        assert len(pick(root, ["?"], exclude=["g"])) == 2

    def test_parents_are_kept_from_the_pivot_on(self, root: Path) -> None:
        (whole,) = pick(root, ["d/e/b.txt"], parents=True)
        assert whole.above == ((b"d", b"d"), (b"d/e", b"d/e"))
        (rest,) = pick(root, ["d/./e/b.txt"], parents=True)
        assert rest.above == ((b"d/e", b"e"),)


class TestFingerprints:
    def of(self, root: Path, *sources: str) -> str:
        return Fingerprints().of(pick(root, sources))

    def test_times_say_nothing(self, root: Path) -> None:
        before = self.of(root, "d", "f")
        for path in (root / "f", root / "d", root / "d" / "a"):
            os.utime(path, (1, 1))
        assert self.of(root, "d", "f") == before

    def test_content_mode_name_and_target_do(self, root: Path) -> None:
        seen = {self.of(root, "d")}
        for change in (
            lambda: (root / "d" / "a").write_text("d/b"),
            lambda: (root / "d" / "a").chmod(0o600),
            lambda: (root / "d" / "a").rename(root / "d" / "z"),
            lambda: (root / "d" / "l").symlink_to("x"),
            lambda: ((root / "d" / "l").unlink(), (root / "d" / "l").symlink_to("y")),
            lambda: (root / "d" / "empty").mkdir(),
            lambda: os.setxattr(root / "d" / "z", "user.lading", b"1"),
        ):
            change()
            seen.add(self.of(root, "d"))
        assert len(seen) == 8

    def test_a_file_and_a_directory_with_it_differ(self, root: Path) -> None:
        assert self.of(root, "d/e") != self.of(root, "d/e/b.txt")


class TestLanding:
    @pytest.mark.parametrize(
        ("path", "lands"),
        [
            ("/d/new/x", b"d/new/x"),
            ("/in/x", b"d/e/x"),
            ("/in/../x", b"d/x"),
            ("/out", b"etc/passwd"),
            ("/../../..", b""),
            ("/none/../d", b"d"),
        ],
    )
    def test_links_are_followed_inside(self, root_fd: int, path: str, lands: bytes) -> None:
        assert landing(root_fd, path).path == lands

    def test_circles_are_refused(self, root_fd: int) -> None:
        with pytest.raises(TooManyLinks):
            landing(root_fd, "/loop/x")

    def test_an_empty_image_has_its_root_alone(self) -> None:
        assert landing(None, "/").is_directory
        assert landing(None, "/a/../b").path == b"b"
        assert not landing(None, "/b").is_directory


class TestArranging:
    def names(self, root: Path, sources: list[str], to: str, fd: int | None = None) -> list[str]:
        members = arrange(fd, pick(root, sources), to).members
        return sorted(os.fsdecode(name) for name in members)

    def test_files_and_directories_go_where_docker_puts_them(self, root: Path) -> None:
        assert self.names(root, ["f"], "/x") == ["x"]
        assert self.names(root, ["f"], "/x/") == ["x", "x/f"]
        assert self.names(root, ["d"], "/x") == ["x", "x/a", "x/e", "x/e/b.txt"]

    def test_what_is_there_decides(self, root: Path, root_fd: int) -> None:
        assert self.names(root, ["f"], "/d", root_fd) == ["d", "d/f"]
        assert self.names(root, ["f"], "/g", root_fd) == ["g"]
        with pytest.raises(NotADirectory):
            self.names(root, ["d"], "/f", root_fd)
        with pytest.raises(NotADirectory):
            self.names(root, ["f"], "/g/x", root_fd)
        (root / "d" / "f").mkdir()
        with pytest.raises(IsADirectory):
            self.names(root, ["f"], "/d/", root_fd)

    def test_several_need_a_directory(self, root: Path) -> None:
        with pytest.raises(NeedsADirectory):
            self.names(root, ["f", "g"], "/x")


class TestLayers:
    def layer(self, root: Path, sources: list[str], to: str, marks: Marks) -> bytes:
        picked, out = pick(root, sources), io.BytesIO()
        write_layer(arrange(None, picked, to), None, marks, out, made_at=newest(picked))
        return out.getvalue()

    def test_the_same_files_make_the_same_bytes(self, root: Path) -> None:
        marks = Marks((0, 0))
        assert self.layer(root, ["d"], "/x", marks) == self.layer(root, ["d"], "/x", marks)

    def test_owners_modes_and_times_are_as_asked(self, root: Path) -> None:
        marks = Marks((5, 6), modes.parse("u=rwX,go="), epoch=1000)
        content = self.layer(root, ["d"], "/new/x", marks)
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            for member in tar:
                assert (member.uid, member.gid, member.mtime) == (5, 6, 1000)
            assert tar.getmember("new/x/a").mode == 0o600
            assert tar.getmember("new/x/e").mode == 0o700
            assert tar.getmember("new").mode == 0o755

    def test_directories_that_are_made_are_as_old_as_what_is_in_them(self, root: Path) -> None:
        os.utime(root / "f", (77, 77))
        content = self.layer(root, ["f"], "/new/", Marks())
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            assert [member.mtime for member in tar] == [77, 77]


class TestModes:
    @pytest.mark.parametrize(
        ("text", "old", "is_directory", "new"),
        [
            ("0755", 0o600, False, 0o755),
            ("4711", 0o600, True, 0o4711),
            ("u=rwX,go=rX", 0o600, False, 0o644),
            ("u=rwX,go=rX", 0o600, True, 0o755),
            ("u=rwX,go=rX", 0o700, False, 0o755),
            ("+x", 0o644, False, 0o755),
            ("a-w", 0o666, False, 0o444),
            ("g+s,o=", 0o755, False, 0o2750),
            ("+t", 0o755, True, 0o1755),
            ("u+x-w", 0o644, False, 0o544),
        ],
    )
    def test_digits_and_symbols(self, text: str, old: int, is_directory: bool, new: int) -> None:
        assert oct(modes.parse(text)(old, is_directory)) == oct(new)

    @pytest.mark.parametrize("text", ["", "9", "77777", "u", "u=z", "x+r", "u=r,", "0o755"])
    def test_what_is_none_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidChmod):
            modes.parse(text)
