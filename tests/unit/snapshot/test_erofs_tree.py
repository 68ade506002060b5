"""What a layer's entries become in overlayfs's own form."""

from __future__ import annotations

import stat

import pytest

from lading.snapshot.erofs_layout import lay_out
from lading.snapshot.erofs_tree import OPAQUE, Node, Tree, UnusableEntry, directory


def file(size: int = 0) -> Node:
    return Node(stat.S_IFREG | 0o644, size=size)


def link(target: bytes) -> Node:
    return Node(stat.S_IFLNK | 0o777, target=target, size=len(target))


def names(node: Node) -> set[bytes]:
    assert node.children is not None
    return set(node.children)


def at(tree: Tree, *parts: bytes) -> Node:
    node = tree.root
    for part in parts:
        assert node.children is not None
        node = node.children[part]
    return node


@pytest.fixture
def tree() -> Tree:
    return Tree()


class TestPut:
    def test_parents_are_made(self, tree: Tree) -> None:
        tree.put((b"a", b"b", b"c"), file())
        assert at(tree, b"a", b"b").mode == stat.S_IFDIR | 0o755

    def test_the_last_of_a_name_wins(self, tree: Tree) -> None:
        tree.put((b"a",), file(1))
        tree.put((b"a",), file(2))
        assert at(tree, b"a").size == 2

    def test_a_directory_described_again_keeps_its_children(self, tree: Tree) -> None:
        tree.put((b"d", b"x"), file())
        tree.put((b"d",), directory(0o700))
        assert at(tree, b"d").mode & 0o777 == 0o700
        assert names(at(tree, b"d")) == {b"x"}

    def test_a_file_replaces_a_directory_and_all_in_it(self, tree: Tree) -> None:
        tree.put((b"d", b"x"), file())
        tree.put((b"d",), file())
        assert at(tree, b"d").children is None

    def test_a_parent_that_is_a_link_is_resolved_inside(self, tree: Tree) -> None:
        tree.put((b"usr", b"lib"), directory())
        tree.put((b"lib",), link(b"/usr/lib"))
        tree.put((b"up",), link(b"../../.."))
        tree.put((b"lib", b"x"), file())
        tree.put((b"up", b"y"), file())
        assert names(at(tree, b"usr", b"lib")) == {b"x"}
        assert b"y" in names(tree.root)

    def test_a_loop_of_links_is_refused(self, tree: Tree) -> None:
        tree.put((b"a",), link(b"b"))
        tree.put((b"b",), link(b"a"))
        with pytest.raises(UnusableEntry, match="too many symbolic links"):
            tree.put((b"a", b"x"), file())

    def test_the_root_must_stay_a_directory(self, tree: Tree) -> None:
        with pytest.raises(UnusableEntry):
            tree.put((), link(b"/tmp"))

    def test_a_directory_that_was_replaced_is_no_parent(self, tree: Tree) -> None:
        tree.put((b"d", b"x"), file())
        tree.put((b"d",), file())
        with pytest.raises(UnusableEntry, match="not a directory"):
            tree.put((b"d", b"y"), file())

    def test_a_file_is_no_parent(self, tree: Tree) -> None:
        tree.put((b"f",), file())
        with pytest.raises(UnusableEntry, match="not a directory"):
            tree.put((b"f", b"x"), file())


class TestWhiteouts:
    def test_become_devices(self, tree: Tree) -> None:
        tree.put((b"d", b".wh.gone"), file())
        assert at(tree, b"d", b"gone").is_whiteout

    def test_never_hide_what_the_same_layer_brings(self, tree: Tree) -> None:
        tree.put((b"a",), file(5))
        tree.put((b".wh.a",), file())
        tree.put((b".wh.b",), file())
        tree.put((b"b",), file(6))
        assert (at(tree, b"a").size, at(tree, b"b").size) == (5, 6)

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_of_a_directory_the_layer_brings_makes_it_opaque(
        self, tree: Tree, order: tuple[int, int]
    ) -> None:
        entries = [((b".wh.d",), file()), ((b"d",), directory())]
        for n in order:
            tree.put(*entries[n])
        assert at(tree, b"d").xattrs == {OPAQUE: b"y"}

    def test_opaque_stays_when_the_directory_is_described_later(self, tree: Tree) -> None:
        tree.put((b"d", b".wh..wh..opq"), file())
        tree.put((b"d",), directory(0o700))
        assert at(tree, b"d").xattrs == {OPAQUE: b"y"}
        assert names(at(tree, b"d")) == set()

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_in_an_opaque_directory_are_left_out(self, tree: Tree, order: tuple[int, int]) -> None:
        names_ = ((b"d", b".wh..wh..opq"), (b"d", b".wh.x"))
        for n in order:
            tree.put(names_[n], file())
        assert names(at(tree, b"d")) == set()

    @pytest.mark.parametrize("name", [b".wh.", b".wh..", b".wh..."])
    def test_of_nothing_are_refused(self, tree: Tree, name: bytes) -> None:
        with pytest.raises(UnusableEntry, match="whiteout of nothing"):
            tree.put((name,), file())

    def test_aufs_bookkeeping_is_left_out(self, tree: Tree) -> None:
        tree.put((b".wh..wh.plnk",), directory())
        assert names(tree.root) == set()


class TestHardLinks:
    def test_count_their_names(self, tree: Tree) -> None:
        tree.put((b"a",), file())
        tree.link((b"d", b"b"), (b"a",))
        tree.link((b"d", b"b"), (b"a",))
        assert at(tree, b"d", b"b") is at(tree, b"a")
        lay_out(tree.root, 0)
        assert at(tree, b"a").links == 2

    def test_to_what_is_replaced_keep_it(self, tree: Tree) -> None:
        tree.put((b"a",), file(1))
        tree.link((b"b",), (b"a",))
        tree.put((b"a",), file(2))
        lay_out(tree.root, 0)
        assert (at(tree, b"a").links, at(tree, b"b").links) == (1, 1)
        assert (at(tree, b"a").size, at(tree, b"b").size) == (2, 1)

    @pytest.mark.parametrize("target", [(b"none",), (b"d",), (b"d", b"x", b"y"), ()])
    def test_to_what_is_no_file_here_are_refused(
        self, tree: Tree, target: tuple[bytes, ...]
    ) -> None:
        tree.put((b"d", b"x"), file())
        with pytest.raises(UnusableEntry, match="hard link"):
            tree.link((b"l",), target)
