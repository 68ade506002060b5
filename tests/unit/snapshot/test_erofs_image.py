"""What is written as an image is read again by a reader that knows only the format."""

from __future__ import annotations

import io
import stat
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from erofs_reader import Image, seen
from lading.layer.entry import InvalidTar
from lading.oci.digest import Digest
from lading.snapshot import erofs_image
from lading.snapshot.erofs_ingest import ingest
from lading.snapshot.erofs_layout import TooLarge
from lading.snapshot.erofs_tree import Node, Tree, directory
from lading.snapshot.stacking import BARE_XATTR
from tarball import Tarball


def image_of(tree: Tree, tar: bytes = b"") -> Image:
    out = io.BytesIO()
    erofs_image.write(tree.root, out, io.BytesIO(tar), tar_bytes=len(tar), name=bytes(16))
    image = Image(out.getvalue(), tar)
    assert len(out.getvalue()) == image.blocks * 512
    return image


names = st.binary(min_size=1, max_size=255).map(
    lambda b: b.replace(b"\0", b"0").replace(b"/", b"_")
)
parts = st.lists(names.filter(lambda n: n not in (b".", b"..")), min_size=1, max_size=4)
xattrs = st.dictionaries(
    st.sampled_from([b"user.a", b"user.long-name", b"trusted.x", b"security.capability"]),
    st.sampled_from([b"", b"v", b"value" * 100]),
)


@st.composite
def nodes(draw: st.DrawFn) -> Node:
    kind = draw(st.sampled_from([stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFIFO]))
    node = Node(
        kind | draw(st.integers(0, 0o7777)),
        draw(st.integers(0, 0xFFFFFFFE)),
        draw(st.integers(0, 0xFFFFFFFE)),
        draw(st.integers(-(1 << 40), 1 << 40)),
        draw(st.integers(0, 999_999_999)),
        xattrs=draw(xattrs) or None,
    )
    if kind == stat.S_IFDIR:
        node.children = {}
    elif kind == stat.S_IFLNK:
        node.target = b"t" * draw(st.integers(1, 1500))
    return node


@given(st.lists(st.tuples(parts, nodes()), max_size=30))
@settings(max_examples=60, deadline=None)
def test_every_tree_is_read_as_it_was(rows: list[tuple[list[bytes], Node]]) -> None:
    tree = Tree()
    for path, node in rows:
        if not any(part.startswith(b".wh.") for part in path):
            try:
                tree.put(path, node)
            except InvalidTar:
                continue
            except Exception as error:
                assert "parent" in str(error) or "symbolic" in str(error)
    found = seen(image_of(tree))
    assert found == dict(expected(b"", tree.root))


def expected(path: bytes, node: Node) -> list[tuple[bytes, tuple[object, ...]]]:
    children = node.children or {}
    links = 2 + sum(c.children is not None for c in children.values())
    content = {stat.S_IFREG: b"", stat.S_IFLNK: node.target}.get(stat.S_IFMT(node.mode))
    row = (node.mode, node.uid, node.gid, node.mtime, node.nanoseconds,
           links if node.children is not None else 1, node.xattrs or {}, content)  # fmt: skip
    rows = [(path, row)]
    for name, child in children.items():
        rows += expected(path + b"/" + name, child)
    return rows


@pytest.mark.parametrize("count", [0, 1, 20, 30, 31, 32, 33, 40, 1000])
@pytest.mark.parametrize("length", [4, 5, 100, 255])
def test_directories_of_every_size(count: int, length: int) -> None:
    tree = Tree()
    wanted = {b"%04d" % n + b"x" * (length - 4) for n in range(count)}
    for name in sorted(wanted, reverse=True):
        tree.put((b"d", name), Node(0o100644))
    tree.put((b"d",), directory())
    found = seen(image_of(tree)).keys()
    assert found == {b"", b"/d"} | {b"/d/" + name for name in wanted}


def test_attributes_shared_by_pairs_of_files() -> None:
    tree = Tree()
    for n in range(6000):
        tree.put((b"f%d" % n,), Node(0o100644, xattrs={b"user.pair": b"%d" % (n // 2) * 200}))
    found = seen(image_of(tree))
    for n in range(6000):
        assert found[b"/f%d" % n][6] == {b"user.pair": b"%d" % (n // 2) * 200}


def test_a_tar_is_read_through_its_index() -> None:
    made = Tarball().directory("./", 0o700).file("a", b"x" * 1000).file("b", b"y" * 512)
    made.file("empty").link("c", "a").device("null", 1, 3).whiteout("gone")
    made.directory("o").opaque("o")
    tar = made.content
    kept = io.BytesIO()
    tree, digest = ingest(io.BytesIO(tar), kept, None)
    assert (kept.getvalue(), digest) == (tar, Digest.of(tar))
    found = seen(image_of(tree, tar))
    assert found[b"/a"][7] == b"x" * 1000
    assert found[b"/c"] == found[b"/a"]
    assert found[b"/a"][5] == 2
    assert found[b"/b"][7] == b"y" * 512
    assert found[b"/null"][7] == 0x103
    assert found[b"/gone"][0] == stat.S_IFCHR
    assert found[b"/gone"][7] == 0
    assert found[b"/o"][6] == {b"trusted.overlay.opaque": b"y"}
    assert found[b""][0] == stat.S_IFDIR | 0o700
    assert found[b""][6] == {}


def test_a_root_that_no_member_describes_is_marked() -> None:
    kept = io.BytesIO()
    tree, _ = ingest(io.BytesIO(Tarball().file("a").content), kept, None)
    assert seen(image_of(tree))[b""][6] == {BARE_XATTR.encode(): b"y"}


def test_a_layer_beyond_32_bit_blocks_is_refused() -> None:
    with pytest.raises(TooLarge):
        erofs_image.write(
            Tree().root, io.BytesIO(), io.BytesIO(), tar_bytes=1 << 41, name=bytes(16)
        )


@pytest.mark.parametrize(("major", "minor"), [(4096, 0), (0, 1 << 20), (1 << 20, 5)])
def test_devices_that_linux_does_not_have_are_refused(major: int, minor: int) -> None:
    tar = Tarball().device("d", major, minor).content
    with pytest.raises(InvalidTar, match="device number"):
        ingest(io.BytesIO(tar), io.BytesIO(), None)


def test_what_follows_the_end_is_kept_and_hashed() -> None:
    tar = Tarball().file("a").content + b"\0" * tarfile.BLOCKSIZE + b"more"
    kept = io.BytesIO()
    _, digest = ingest(io.BytesIO(tar), kept, None)
    assert kept.getvalue() == tar
    assert digest == Digest.of(tar)
