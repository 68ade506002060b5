"""cp puts files where Docker puts them, in both directions, and nowhere else."""

from __future__ import annotations

import base64
import io
import json
import os
import socket
import stat
import tarfile
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from canned_engine import Asked, CannedEngine
from command_line import Lading
from lading.cli import copying
from lading.cli.copying import Source, Target
from lading.cli.faults import Fault

DIRECTORY, LINK = 1 << 31, 1 << 27
PATH = "/containers/web/archive"


def tar(*members: tuple[str, str, str | bytes]) -> bytes:
    """A tar of (name, type, content or target)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, content in members:
            member = tarfile.TarInfo(name)
            member.mode, member.uid, member.gid, member.mtime = 0o640, 12, 34, 1_000_000_000
            raw = b""
            if kind == "dir":
                member.type, member.mode = tarfile.DIRTYPE, 0o750
            elif kind in ("link", "hard"):
                member.type = tarfile.SYMTYPE if kind == "link" else tarfile.LNKTYPE
                assert isinstance(content, str)
                member.linkname = content
            else:
                raw = content if isinstance(content, bytes) else content.encode()
                member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    return out.getvalue()


SITE = tar(
    ("www/", "dir", ""),
    ("www/index", "file", "hello"),
    ("www/sub/", "dir", ""),
    ("www/sub/page", "file", "page"),
    ("www/same", "hard", "www/index"),
    ("www/link", "link", "index"),
)


def header(mode: int, target: str = "") -> str:
    shown = {"name": "x", "size": 0, "mode": mode, "mtime": "", "linkTarget": target}
    return base64.b64encode(json.dumps(shown).encode()).decode()


def answering(mode: int, body: bytes = b"", target: str = "") -> object:
    def answer(asked: Asked, connection: socket.socket) -> None:
        head = f"HTTP/1.1 200 OK\r\nX-Docker-Container-Path-Stat: {header(mode, target)}\r\n"
        length = f"Content-Length: {len(body)}\r\n\r\n"
        connection.sendall((head + length).encode() + (b"" if asked.method == "HEAD" else body))

    return answer


def holds(engine: CannedEngine, paths: dict[str, object]) -> None:
    """The container has what *paths* says; everything else is missing."""

    def answer(asked: Asked, connection: socket.socket) -> None:
        path = parse_qs(asked.target.partition("?")[2])["path"][0]
        found = paths.get(path)
        if found is None:
            raw = json.dumps({"message": f"Could not find the file {path}"}).encode()
            text = b"" if asked.method == "HEAD" else raw
            head = f"HTTP/1.1 404 Not Found\r\nContent-Length: {len(raw)}\r\n\r\n"
            connection.sendall(head.encode() + text)
        else:
            assert callable(found)
            found(asked, connection)

    engine.answers |= {f"{verb} {PATH}": answer for verb in ("HEAD", "GET")}
    engine.answers[f"PUT {PATH}"] = (200, "")


def names_below(path: Path) -> set[str]:
    return {str(each.relative_to(path)) for each in path.rglob("*")}


def sent(engine: CannedEngine) -> tuple[dict[str, list[str]], dict[str, tarfile.TarInfo]]:
    """The query and the members of what was put."""
    put = next(asked for asked in engine.asked if asked.method == "PUT")
    with tarfile.open(fileobj=io.BytesIO(put.body)) as archive:
        members = {member.name: member for member in archive.getmembers()}
    return parse_qs(put.target.partition("?")[2]), members


class TestRules:
    """github.com/docker/docker/pkg/archive, copy.go, as a table."""

    @pytest.mark.parametrize(
        ("word", "parts"),
        [
            ("web:/etc", ("web", "/etc")),
            ("web:", ("web", "")),
            ("/a:b", ("", "/a:b")),
            ("./a:b", ("", "./a:b")),
            ("a/b", ("", "a/b")),
            ("-", ("", "-")),
        ],
    )
    def test_a_colon_separates_container_and_path(self, word: str, parts: tuple[str, str]) -> None:
        assert copying.split(word) == parts

    @pytest.mark.parametrize(
        ("path", "name"),
        [("/a/b", "b"), ("/a/b/", "b"), ("/a/b/.", "."), (".", "."), ("/", "."), ("/a/..", ".")],
    )
    def test_a_trailing_dot_means_the_contents(self, path: str, name: str) -> None:
        assert copying.base(path) == name

    @pytest.mark.parametrize(
        ("source", "target", "landing"),
        [
            # (what it is called, whether a directory), (path, is a directory), (where, as what)
            (("f", False), ("/d", True), ("/d", "f")),
            (("f", False), ("/d/g", False), ("/d", "g")),
            (("f", False), ("/d/g", None), ("/d", "g")),
            (("s", True), ("/d", True), ("/d", "s")),
            (("s", True), ("/d/t", None), ("/d", "t")),
            (("s", True), ("/d/t/", None), ("/d", "t")),
            ((".", True), ("/d", True), ("/d", ".")),
            ((".", True), ("/d/t", None), ("/d", "t")),
            (("s", True), ("/d/g", False), "cannot copy directory"),
            (("f", False), ("/d/t/", None), "no such directory"),
            (("f", False), ("/d/g/", False), "not a directory"),
        ],
    )
    def test_where_a_copy_lands(
        self,
        source: tuple[str, bool],
        target: tuple[str, bool | None],
        landing: tuple[str, str] | str,
    ) -> None:
        from_ = Source("/x", source[0], is_directory=source[1])
        to = Target(target[0], is_directory=target[1])
        if isinstance(landing, tuple):
            assert copying.landing(from_, to) == landing
            return
        with pytest.raises(Fault, match=landing):
            copying.landing(from_, to)


class TestOut:
    def test_a_directory_goes_into_one_that_exists(
        self, engine: CannedEngine, lading: Lading, tmp_path: Path
    ) -> None:
        holds(engine, {"/www": answering(DIRECTORY | 0o750, SITE)})
        ended = lading("cp", "web:/www", str(tmp_path))
        assert (ended.code, ended.out, ended.err) == (0, "", "")
        www = tmp_path / "www"
        assert names_below(www) == {"index", "sub", "sub/page", "same", "link"}
        assert (www / "same").samefile(www / "index")
        assert (www / "link").readlink() == Path("index")

    def test_it_takes_the_name_of_one_that_does_not(
        self, engine: CannedEngine, lading: Lading, tmp_path: Path
    ) -> None:
        holds(engine, {"/www": answering(DIRECTORY | 0o750, SITE)})
        lading("cp", "web:/www", f"{tmp_path}/new")
        assert (tmp_path / "new/sub/page").read_text() == "page"
        assert (tmp_path / "new/same").samefile(tmp_path / "new/index")

    def test_contents_alone_leave_the_directory_as_it_is(
        self, engine: CannedEngine, lading: Lading, tmp_path: Path
    ) -> None:
        into = tmp_path / "into"
        into.mkdir(mode=0o700)
        body = tar(("./", "dir", ""), ("./a", "file", "a"))
        holds(engine, {"/www/.": answering(DIRECTORY, body)})
        lading("cp", "web:/www/.", str(into))
        assert names_below(into) == {"a"}
        assert stat.S_IMODE(into.stat().st_mode) == 0o700

    def test_a_file_keeps_mode_and_time_and_becomes_the_users(
        self, engine: CannedEngine, lading: Lading, tmp_path: Path
    ) -> None:
        holds(engine, {"/a": answering(0o640, tar(("a", "file", "text")))})
        lading("cp", "web:/a", f"{tmp_path}/b")
        found = (tmp_path / "b").stat()
        assert (tmp_path / "b").read_text() == "text"
        assert (stat.S_IMODE(found.st_mode), found.st_mtime) == (0o640, 1_000_000_000)
        assert (found.st_uid, found.st_gid) == (os.geteuid(), os.getegid())

    @pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
    def test_archive_mode_keeps_the_owners(
        self, engine: CannedEngine, lading: Lading, tmp_path: Path
    ) -> None:
        holds(engine, {"/a": answering(0o640, tar(("a", "file", "text")))})
        lading("cp", "-a", "web:/a", str(tmp_path))
        found = (tmp_path / "a").stat()
        assert (found.st_uid, found.st_gid) == (12, 34)

    def test_a_link_is_followed_when_asked(
        self, engine: CannedEngine, lading: Lading, tmp_path: Path
    ) -> None:
        holds(
            engine,
            {
                "/l": answering(LINK | 0o777, tar(("l", "link", "a")), "/a"),
                "/a": answering(0o640, tar(("a", "file", "text"))),
            },
        )
        lading("cp", "-L", "web:/l", str(tmp_path))
        assert (tmp_path / "l").read_text() == "text"
        assert not (tmp_path / "l").is_symlink()

    def test_a_dash_is_the_archive_itself(self, engine: CannedEngine, lading: Lading) -> None:
        holds(engine, {"/a": answering(0o640, tar(("a", "file", "text")))})
        assert lading("cp", "web:/a", "-").out.encode() == tar(("a", "file", "text"))

    def test_what_is_missing_is_told_in_the_engines_words(
        self, engine: CannedEngine, lading: Lading, tmp_path: Path
    ) -> None:
        holds(engine, {})
        ended = lading("cp", "web:/gone", str(tmp_path))
        assert (ended.code, ended.err) == (1, "lading: Could not find the file /gone\n")

    def test_a_place_that_is_not_there_asks_nothing(
        self, engine: CannedEngine, lading: Lading, tmp_path: Path
    ) -> None:
        ended = lading("cp", "web:/a", f"{tmp_path}/no/where")
        assert ended.code == 1
        assert f'directory "{tmp_path}/no" does not exist' in ended.err
        assert not engine.asked

    @pytest.mark.parametrize(
        "members",
        [
            [("x/../../escaped", "file", "!")],
            [("x/", "dir", ""), ("x/up", "link", ".."), ("x/up/up/escaped", "file", "!")],
            [("x/", "dir", ""), ("x/out", "link", "/"), ("x/out/escaped", "file", "!")],
        ],
        ids=["dots", "relative link", "absolute link"],
    )
    def test_nothing_a_container_sends_lands_elsewhere(
        self,
        members: list[tuple[str, str, str]],
        engine: CannedEngine,
        lading: Lading,
        tmp_path: Path,
    ) -> None:
        into = tmp_path / "one/into"
        into.mkdir(parents=True)
        holds(engine, {"/x": answering(DIRECTORY, tar(*members))})
        lading("cp", "web:/x", str(into))
        outside = [p for p in tmp_path.rglob("escaped") if into not in p.parents]
        assert outside == [] and not Path("/escaped").exists()

    def test_an_archive_that_is_cut_off_is_an_error(
        self, engine: CannedEngine, lading: Lading, tmp_path: Path
    ) -> None:
        whole = tar(("a", "file", "text"))

        def cut(asked: Asked, connection: socket.socket) -> None:
            head = f"HTTP/1.1 200 OK\r\nX-Docker-Container-Path-Stat: {header(0o640)}\r\n"
            connection.sendall(f"{head}Content-Length: {len(whole)}\r\n\r\n".encode())
            connection.sendall(whole[:514])

        holds(engine, {"/a": cut})
        ended = lading("cp", "web:/a", str(tmp_path))
        assert ended.code == 1 and "lost the connection" in ended.err


class TestInto:
    @pytest.fixture
    def site(self, tmp_path: Path) -> Path:
        site = tmp_path / "site"
        (site / "sub").mkdir(parents=True)
        (site / "index").write_text("hello")
        (site / "sub/page").write_text("page")
        (site / "link").symlink_to("index")
        return site

    @pytest.mark.parametrize(
        ("source", "destination", "into", "names"),
        [
            ("", "/www", "/www", {"site", "site/index", "site/sub", "site/sub/page", "site/link"}),
            ("/.", "/www", "/www", {".", "index", "sub", "sub/page", "link"}),
            ("/index", "/www", "/www", {"index"}),
            ("/index", "/www/new", "/www", {"new"}),
            ("/sub", "/www/new", "/www", {"new", "new/page"}),
            ("/sub/.", "/www/new", "/www", {"new", "new/page"}),
        ],
    )
    def test_names_are_those_that_the_copy_will_have(
        self,
        source: str,
        destination: str,
        into: str,
        names: set[str],
        engine: CannedEngine,
        lading: Lading,
        site: Path,
    ) -> None:
        holds(engine, {"/www": answering(DIRECTORY | 0o755)})
        ended = lading("cp", f"{site}{source}", f"web:{destination}")
        assert (ended.code, ended.err) == (0, "")
        asked, members = sent(engine)
        assert asked == {"path": [into], "noOverwriteDirNonDir": ["1"]}
        assert {name.removeprefix("./") for name in members} == names

    def test_a_link_at_the_destination_is_followed(
        self, engine: CannedEngine, lading: Lading, site: Path
    ) -> None:
        holds(
            engine,
            {
                "/l": answering(LINK | 0o777, target="/real"),
                "/real": answering(DIRECTORY | 0o755),
            },
        )
        lading("cp", f"{site}/index", "web:/l")
        assert sent(engine)[0]["path"] == ["/real"]

    def test_a_link_at_the_source_is_sent_as_one(
        self, engine: CannedEngine, lading: Lading, site: Path
    ) -> None:
        holds(engine, {"/www": answering(DIRECTORY | 0o755)})
        lading("cp", f"{site}/link", "web:/www")
        assert sent(engine)[1]["link"].issym()

    def test_a_link_is_followed_when_asked(
        self, engine: CannedEngine, lading: Lading, site: Path
    ) -> None:
        holds(engine, {"/www": answering(DIRECTORY | 0o755)})
        lading("cp", "-L", "-a", f"{site}/link", "web:/www")
        asked, members = sent(engine)
        assert members["link"].isreg() and members["link"].size == 5
        assert asked["copyUIDGID"] == ["1"]

    def test_a_source_that_is_missing_sends_nothing(
        self, engine: CannedEngine, lading: Lading, tmp_path: Path
    ) -> None:
        holds(engine, {"/www": answering(DIRECTORY | 0o755)})
        ended = lading("cp", f"{tmp_path}/gone", "web:/www")
        assert ended.code == 1
        assert ended.err == f"lading: lstat {tmp_path}/gone: no such file or directory\n"
        assert all(asked.method == "HEAD" for asked in engine.asked)

    def test_a_refusal_in_the_midst_of_sending_is_told(
        self, engine: CannedEngine, lading: Lading, site: Path
    ) -> None:
        (site / "large").write_bytes(os.urandom(4 << 20))
        holds(engine, {"/www": answering(DIRECTORY | 0o755)})
        engine.answers[f"PUT {PATH}"] = (403, {"message": "the root is read-only"})
        ended = lading("cp", str(site), "web:/www")
        assert (ended.code, ended.err) == (1, "lading: the root is read-only\n")

    def test_a_dash_sends_stdin_as_it_is(
        self, engine: CannedEngine, lading: Lading, tmp_path: Path
    ) -> None:
        holds(engine, {"/www": answering(DIRECTORY | 0o755)})
        (tmp_path / "in").write_bytes(SITE)
        with stdin(tmp_path / "in"):
            assert lading("cp", "-", "web:/www").code == 0
        assert next(a for a in engine.asked if a.method == "PUT").body == SITE

    def test_a_dash_needs_a_directory(self, engine: CannedEngine, lading: Lading) -> None:
        holds(engine, {"/file": answering(0o644)})
        ended = lading("cp", "-", "web:/file")
        assert ended.err == 'lading: destination "web:/file" must be a directory\n'


class stdin:
    """While entered, the standard input is a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        self._kept = os.dup(0)
        with self._path.open("rb") as file:
            os.dup2(file.fileno(), 0)

    def __exit__(self, *_: object) -> None:
        os.dup2(self._kept, 0)
        os.close(self._kept)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a", "b"], "must specify at least one container source"),
        (["web:/a", "db:/b"], "copying between containers is not supported"),
        (["", "web:/"], "source can not be empty"),
        (["web:/", ""], "destination can not be empty"),
    ],
)
def test_a_copy_needs_one_container(
    words: list[str], said: str, engine: CannedEngine, lading: Lading
) -> None:
    ended = lading("cp", *words)
    assert ended.code == 1 and said in ended.err
    assert not engine.asked
