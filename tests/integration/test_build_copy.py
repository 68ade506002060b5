"""COPY and ADD put files where Docker does, whatever the image and the context hold."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import http.server
import threading
from collections.abc import Iterator

import pytest

from build_box import BuildBox
from engine_daemon import Daemon
from tarball import Tarball

FILES = {"f": "f\n", "g": "g\n", "d/a": "a\n", "d/e/b": "b\n", "d/e/c.txt": "c\n"}


@pytest.fixture
def box(daemon: Daemon) -> Iterator[BuildBox]:
    box = BuildBox(daemon)
    yield box
    box.clear()
    assert box.leavings() == []


def tree(box: BuildBox, copy: str, files: object = FILES, before: str = "", top: str = "/x") -> str:
    """What lies below *top* after the instruction, one path a line."""
    built = box.build(f"FROM busybox\n{before}{copy}\n", files)  # type: ignore[arg-type]
    return box.run(built.image, f"cd {top} && find . | sort | xargs")


class TestCopy:
    @pytest.mark.parametrize(
        ("copy", "found"),
        [
            ("COPY f /x/", ". ./f"),
            ("COPY f /x/y", ". ./y"),
            ("COPY f g /x/", ". ./f ./g"),
            ("COPY d /x", ". ./a ./e ./e/b ./e/c.txt"),
            ("COPY d /x/", ". ./a ./e ./e/b ./e/c.txt"),
            ("COPY d/ /x/y/z", ". ./y ./y/z ./y/z/a ./y/z/e ./y/z/e/b ./y/z/e/c.txt"),
            ("COPY ? /x/", ". ./a ./e ./e/b ./e/c.txt ./f ./g"),
            ("COPY d/*/*.txt /x/", ". ./c.txt"),
            ("COPY [fg] /x/", ". ./f ./g"),
            ("COPY ../../f /x/", ". ./f"),
            ("COPY /d/e /x/", ". ./b ./c.txt"),
            ('COPY ["f", "/x/a b"]', "./a b ."),
            ("COPY --parents d/e/b /x/", ". ./d ./d/e ./d/e/b"),
            ("COPY --parents d/./e/b /x/", ". ./e ./e/b"),
            ("COPY --exclude=*.txt --exclude=a d /x/", ". ./e ./e/b ./e/c.txt"),
            ("COPY --exclude=**/*.txt d /x/", ". ./a ./e ./e/b"),
            ("COPY --link f /x/", ". ./f"),
        ],
    )
    def test_sources_land_where_docker_puts_them(
        self, box: BuildBox, copy: str, found: str
    ) -> None:
        assert sorted(tree(box, copy).split()) == sorted(found.split())

    def test_destinations_are_relative_to_the_workdir(self, box: BuildBox) -> None:
        assert tree(box, "COPY f y/", before="WORKDIR /x\n") == ". ./y ./y/f\n"
        assert tree(box, "COPY f .", before="WORKDIR /x\n") == ". ./f\n"

    def test_a_link_in_the_image_leads_inside_it(self, box: BuildBox) -> None:
        before = "RUN mkdir -p /real && ln -s /real /link && ln -s ../../../../real /up\n"
        assert tree(box, "COPY d /link/", before=before, top="/real").startswith(". ./a")
        assert tree(box, "COPY f /up/new/", before=before, top="/real") == ". ./new ./new/f\n"

    def test_a_link_in_the_context_stays_in_the_context(self, box: BuildBox) -> None:
        tar = Tarball().file("secret", b"inside\n").symlink("passwd", "/secret")
        tar.symlink("out", "../../../../etc/shadow")
        built = box.build("FROM busybox\nCOPY passwd /x\n", tar)
        assert box.run(built.image, "cat /x") == "inside\n"
        tar = Tarball().symlink("out", "../../../../etc/shadow")
        assert "file not found" in box.build("FROM busybox\nCOPY out /x\n", tar).error

    def test_links_in_directories_are_copied_as_links(self, box: BuildBox) -> None:
        tar = Tarball().directory("d").symlink("d/l", "/etc/passwd")
        built = box.build("FROM busybox\nCOPY d /x\n", tar)
        assert box.run(built.image, "readlink /x/l") == "/etc/passwd\n"

    def test_owners_and_modes(self, box: BuildBox) -> None:
        tar = (
            Tarball().file("f", b"", 0o640, uid=1234).directory("d", 0o700).file("d/g", b"", 0o4755)
        )
        built = box.build(
            "FROM busybox\nCOPY f /plain\nCOPY --chown=5 f /five\n"
            "COPY --chown=5:6 --chmod=600 d /d\nCOPY --chown=root:root f /named\nCOPY d /kept\n",
            tar,
        )
        stat = "stat -c '%n %u:%g %a' /plain /five /d /d/g /named /kept /kept/g"
        assert box.run(built.image, stat).splitlines() == [
            "/plain 0:0 640",
            "/five 5:5 640",
            "/d 5:6 755",
            "/d/g 5:6 600",
            "/named 0:0 640",
            "/kept 0:0 755",
            "/kept/g 0:0 4755",
        ]

    def test_copies_from_a_stage_keep_their_owners(self, box: BuildBox) -> None:
        built = box.build(
            "FROM busybox AS a\nRUN mkdir /d; touch /d/f; chown 7:8 /d/f; ln /d/f /d/g\n"
            "FROM busybox\nCOPY --from=a /d /d\nCOPY --from=a --chown=0:0 /d/f /z\n"
        )
        told = box.run(built.image, "stat -c '%u:%g %h' /d/f /z")
        assert told == "7:8 2\n0:0 1\n"

    def test_directories_that_were_there_keep_what_they_are(self, box: BuildBox) -> None:
        before = "RUN mkdir -m 751 /x && chown 3:4 /x && touch /x/old\n"
        built = box.build(f"FROM busybox\n{before}COPY d /x/\n", FILES)
        told = box.run(built.image, "stat -c '%u:%g %a' /x; ls /x | xargs")
        assert told == "3:4 751\na e old\n"

    def test_files_replace_files_and_never_directories(self, box: BuildBox) -> None:
        before = "RUN mkdir -p /x/f\n"
        assert (
            "cannot overwrite directory /x/f"
            in box.build(f"FROM busybox\n{before}COPY f /x/\n", FILES).error
        )
        assert "f\n" in box.run(
            box.build("FROM busybox\nRUN echo old > /x\nCOPY f /x\n", FILES).image, "cat /x"
        )

    def test_dockerignore_holds_on_the_engines_side(self, box: BuildBox) -> None:
        files = {**FILES, ".dockerignore": "g\nd/e\n!d/e/b\nDockerfile\n"}
        found = tree(box, "COPY . /x/", files).split()
        assert found == [".", "./.dockerignore", "./d", "./d/a", "./d/e", "./d/e/b", "./f"]


class TestAdd:
    @pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress], ids=["tar", "gz", "bz2"])
    def test_archives_are_unpacked_with_their_owners(self, box: BuildBox, pack: object) -> None:
        inner = Tarball().file("in/f", b"packed\n", uid=9, gid=9).content
        tar = Tarball().file("a.tar", pack(inner))  # type: ignore[operator]
        built = box.build("FROM busybox\nADD a.tar /x/\nCOPY a.tar /y/\n", tar)
        told = box.run(built.image, "cat /x/in/f; stat -c %u /x/in/f; ls /y")
        assert told == "packed\n9\na.tar\n"

    def test_what_is_no_archive_is_copied(self, box: BuildBox) -> None:
        files = {"a.tar": "no tar", "b.gz": "no gzip", "empty.tar": ""}
        assert tree(box, "ADD * /x/", files) == ". ./Dockerfile ./a.tar ./b.gz ./empty.tar\n"

    def test_hostile_archives_are_refused(self, box: BuildBox) -> None:
        tar = Tarball().file("a.tar", Tarball().file("../../out", b"x").content)
        assert "leads out of the archive" in box.build("FROM busybox\nADD a.tar /x/\n", tar).error


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves one file, and sends people astray."""

    content = b"fetched\n"

    def do_GET(self) -> None:
        onward = {
            "/there": "/file.txt",
            "/metadata": "http://169.254.169.254/latest",
            "/file-scheme": "file:///etc/passwd",
        }.get(self.path)
        if onward:
            self.send_response(302)
            self.send_header("Location", onward)
            self.end_headers()
            return
        self.send_response(200 if self.path == "/file.txt" else 404)
        self.send_header("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class TestFetching:
    def test_files_are_fetched_private_and_as_old_as_they_are(
        self, box: BuildBox, address: str
    ) -> None:
        digest = hashlib.sha256(Handler.content).hexdigest()
        built = box.build(
            f"FROM busybox\nADD {address}/file.txt /x/\n"
            f"ADD --checksum=sha256:{digest} {address}/there /y\n"
        )
        told = box.run(built.image, "cat /x/file.txt /y; stat -c '%a %Y' /x/file.txt")
        assert told == "fetched\nfetched\n600 1445412480\n"

    @pytest.mark.parametrize(
        ("path", "told"),
        [
            ("/none", "invalid response status 404"),
            ("/metadata", "refused to fetch from 169.254.169.254"),
            ("/file-scheme", "only http and https are fetched from"),
        ],
    )
    def test_what_must_not_be_fetched_is_not(
        self, box: BuildBox, address: str, path: str, told: str
    ) -> None:
        assert told in box.build(f"FROM busybox\nADD {address}{path} /x\n").error

    def test_a_file_that_is_not_what_was_announced_is_refused(
        self, box: BuildBox, address: str
    ) -> None:
        text = f"FROM busybox\nADD --checksum=sha256:{'0' * 64} {address}/file.txt /x\n"
        assert "digest mismatch" in box.build(text).error
