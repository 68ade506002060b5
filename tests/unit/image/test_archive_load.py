"""What is taken out of archives: every layout, every compression, through a pipe."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from hostile.rawtar import member, tar
from image_box import (
    INDEX,
    MANIFEST,
    NAME,
    REF,
    Box,
    Layout,
    Pipe,
    config,
    docker_archive,
    large_layer,
    layer,
    sha256,
    tar_of,
)
from lading.image import archive
from lading.image.progress import Progress
from lading.oci.digest import Digest
from lading.oci.platform import Platform
from tarball import Tarball

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}
HERE = Platform.of_host()
ELSEWHERE = "s390x" if HERE.architecture != "s390x" else "amd64"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path)
    yield box
    box.close()


def load(box: Box, content: bytes) -> list[tuple[str, list[str]]]:
    loaded = archive.load(box.library, io.BufferedReader(Pipe(content)))
    return [(str(each.image), [name.familiar for name in each.names]) for each in loaded]


@pytest.mark.parametrize("whole", COMPRESSIONS)
@pytest.mark.parametrize("each", COMPRESSIONS)
def test_compressed_archives_and_layers_are_taken(box: Box, whole: str, each: str) -> None:
    layers = [layer("a"), large_layer("b")]
    stored = [COMPRESSIONS[each](tar) for tar in layers]
    content = tar_of(docker_archive(layers, stored=stored))
    expected = sha256(config(layers))
    assert load(box, COMPRESSIONS[whole](content)) == [(expected, ["some/image:1"])]
    image = box.library.resolve("some/image:1")
    assert [str(d) for d in image.diff_ids] == [sha256(tar) for tar in layers]
    assert image.sizes == tuple(map(len, layers))


@pytest.mark.parametrize("names_first", [True, False])
def test_members_come_in_any_order(box: Box, names_first: bool) -> None:
    members = sorted(docker_archive([large_layer()]).items(), reverse=names_first)
    assert load(box, tar_of(members))[0][1] == ["some/image:1"]


def test_a_raw_pipe_is_read_in_whatever_pieces_it_gives(box: Box) -> None:
    content = tar_of(docker_archive([large_layer()]))
    assert archive.load(box.library, Pipe(content, piece=3))  # type: ignore[arg-type]


def test_a_directory_sent_as_a_tar_has_its_members_below_a_dot(box: Box) -> None:
    layout = Layout()
    layout.root(layout.image([layer()]), "docker.io/some/image:1")
    members = {**layout.members, "index.json": layout.index}
    assert load(box, tar_of({f"./{name}": content for name, content in members.items()}))


def test_an_oci_layout_keeps_manifest_and_blobs(box: Box) -> None:
    layout = Layout()
    root = layout.image([large_layer("a"), layer("b")])
    layout.root(root, "docker.io/some/image:1")
    load(box, layout.tar)
    image = box.library.resolve("some/image:1")
    assert str(image.manifest.digest) == root["digest"]
    for path, content in layout.members.items():
        if path.startswith("blobs/"):
            kept = Digest(path.removeprefix("blobs/").replace("/", ":"))
            assert box.library.blobs.read(kept) == content


def test_one_image_under_several_names_is_one_image(box: Box) -> None:
    layout = Layout()
    root = layout.image([layer()])
    for name in ("docker.io/library/a:1", "docker.io/library/b:2", "host.test:5000/c:3"):
        layout.root(root, name)
    assert load(box, layout.tar)[0][1] == ["a:1", "b:2", "host.test:5000/c:3"]
    assert len(box.library.list()) == 1


def test_several_images_share_a_layer(box: Box) -> None:
    shared = large_layer()
    first, second = docker_archive([shared], ["a:1"]), docker_archive([shared, layer()], ["b:1"])
    rows = [json.loads(each["manifest.json"])[0] for each in (first, second)]
    members = {**first, **second, "manifest.json": json.dumps(rows).encode()}
    assert [names for _, names in load(box, tar_of(members))] == [["a:1"], ["b:1"]]
    assert len(list(box.snapshotter.layers())) == 2


def test_an_image_without_a_name_is_loaded_by_its_id(box: Box) -> None:
    ((image, names),) = load(box, tar_of(docker_archive([layer()], None)))
    assert names == []
    assert box.library.resolve(image).id == Digest(image)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("docker.io/library/nginx:1", "nginx:1"),
        ("nginx", "nginx:latest"),
        ("host.test/a/b:c", "host.test/a/b:c"),
        ("latest", None),  # skopeo and umoci say the tag alone
        ("3.18", None),
        ("v2.0-alpine", None),
        ("Not A Name", None),
        ("../../etc", None),
    ],
)
def test_a_ref_name_is_a_name_where_it_can_be_one(box: Box, word: str, name: str | None) -> None:
    layout = Layout()
    layout.root(layout.image([layer()]), annotations={REF: word})
    assert load(box, layout.tar)[0][1] == ([name] if name else [])


def test_containerds_name_goes_before_the_tag(box: Box) -> None:
    layout = Layout()
    notes = {NAME: "docker.io/library/a:1", REF: "1"}
    layout.root(layout.image([layer()]), annotations=notes)
    assert load(box, layout.tar)[0][1] == ["a:1"]


def test_a_name_by_digest_gives_no_tag(box: Box) -> None:
    layout = Layout()
    root = layout.image([layer()])
    layout.root(root, f"docker.io/library/a@{root['digest']}")
    assert load(box, layout.tar)[0][1] == []


def test_both_layouts_in_one_archive_are_one_image_with_all_names(box: Box) -> None:
    layout, layers = Layout(), [layer()]
    root = layout.image(layers, compress=False)
    layout.root(root, "docker.io/library/a:1")
    row = {
        "Config": "blobs/" + sha256(config(layers)).replace(":", "/"),
        "RepoTags": ["a:1", "b:2"],
        "Layers": ["blobs/" + sha256(layers[0]).replace(":", "/")],
    }
    layout.members["manifest.json"] = json.dumps([row]).encode()
    assert load(box, layout.tar)[0][1] == ["a:1", "b:2"]
    assert str(box.library.resolve("b:2").manifest.digest) == root["digest"]


def test_of_an_index_the_hosts_platform_is_taken(box: Box) -> None:
    layout = Layout()
    ours, theirs = layout.image([layer("ours")]), layout.image([layer("theirs")])
    rows = [
        {**theirs, "platform": {"os": "linux", "architecture": ELSEWHERE}},
        {**ours, "platform": {"os": HERE.os, "architecture": HERE.architecture}},
        {**theirs, "platform": {"os": "unknown", "architecture": "unknown"}},
    ]
    layout.root(layout.document(INDEX, {"manifests": rows}), "docker.io/library/a:1")
    load(box, layout.tar)
    assert str(box.library.resolve("a:1").manifest.digest) == ours["digest"]
    assert len(list(box.snapshotter.layers())) == 1


def test_platforms_side_by_side_under_one_name_are_told_apart(box: Box) -> None:
    layout = Layout()
    ours, theirs = layout.image([layer("ours")]), layout.image([layer("theirs")])
    layout.root(
        theirs, "docker.io/library/a:1", platform={"os": "linux", "architecture": ELSEWHERE}
    )
    here = {"os": HERE.os, "architecture": HERE.architecture}
    layout.root(ours, "docker.io/library/a:1", platform=here)
    assert load(box, layout.tar) == [(sha256(config([layer("ours")])), ["a:1"])]


def test_what_is_no_image_is_passed_over_beside_one(box: Box) -> None:
    layout = Layout()
    empty = layout.blob(b"{}", "application/vnd.oci.empty.v1+json")
    pack = layout.blob(b"BZh" + bytes(100_000), "application/vnd.lading.pack.v1")
    layout.root(layout.document(MANIFEST, {"config": empty, "layers": [pack]}))
    layout.root(layout.image([layer()]), "docker.io/library/a:1")
    assert load(box, layout.tar)[0][1] == ["a:1"]


def test_links_between_members_are_followed(box: Box) -> None:
    """Docker up to 24 links a layer that stands twice to where it was first."""
    made, twice = Tarball(), [large_layer()] * 2
    for name, content in docker_archive(twice).items():
        if name == f"{1:064x}/layer.tar":
            made.symlink(name, f"../{0:064x}/layer.tar")
        else:
            made.file(name, content)
    assert load(box, made.content)


def test_a_link_that_leads_out_harms_nobody_until_it_is_named(box: Box) -> None:
    made = Tarball().symlink("a", "../../../etc/passwd").symlink("b", "/etc/passwd")
    for name, content in docker_archive([layer()]).items():
        made.file(name, content)
    assert load(box, made.content)


def test_of_several_members_of_one_name_the_last_counts(box: Box) -> None:
    members = docker_archive([layer()])
    pairs = [("manifest.json", b"[]"), *members.items()]
    assert load(box, tar_of(pairs))


def test_old_tars_without_a_magic_are_layers_too(box: Box) -> None:
    old = tar(member(b"f", bytes(100_000), magic=bytes(8)))
    assert load(box, tar_of(docker_archive([old])))


def test_empty_layers_are_layers(box: Box) -> None:
    """Docker up to 1.9 wrote one for each step that changed nothing."""
    assert load(box, tar_of(docker_archive([layer(), bytes(1024)])))


def test_an_image_that_is_here_keeps_its_manifest(box: Box) -> None:
    layout, layers = Layout(), [large_layer()]
    root = layout.image(layers)
    layout.root(root, "docker.io/library/a:1")
    load(box, layout.tar)
    before = box.contents()
    load(box, tar_of(docker_archive(layers, ["b:1"])))
    assert str(box.library.resolve("b:1").manifest.digest) == root["digest"]
    assert box.contents() - before == {"row name docker.io/library/b:1"}


def test_a_name_moves_to_the_image_that_came_last(box: Box) -> None:
    load(box, tar_of(docker_archive([layer("a")], ["x:1"])))
    load(box, tar_of(docker_archive([layer("b")], ["x:1"])))
    assert str(box.library.resolve("x:1").id) == sha256(config([layer("b")]))
    assert len(box.library.list()) == 2


def test_a_layer_that_is_here_is_not_kept_again(box: Box) -> None:
    layout = Layout()
    layout.root(layout.image([large_layer()]), "docker.io/library/a:1")
    load(box, layout.tar)
    told: list[Progress] = []
    archive.load(box.library, io.BytesIO(layout.tar), on_progress=told.append)
    assert [each.status for each in told] == ["Already exists"]


def test_progress_is_told_of_layers(box: Box) -> None:
    content = docker_archive([large_layer()])
    told: list[Progress] = []
    archive.load(box.library, io.BytesIO(tar_of(content)), on_progress=told.append)
    size = len(large_layer())
    assert told[-1] == Progress("0" * 12, "Loading layer", size, size)


def test_loading_is_told_as_an_event(box: Box) -> None:
    ((image, _),) = load(box, tar_of(docker_archive([layer()])))
    (event,) = box.library.bus.history()
    assert (event.kind, event.action, event.actor) == ("image", "load", image)
    assert event.attributes == {"name": "some/image:1"}


OLD = {"created": "2014-01-01T00:00:00Z", "architecture": "amd64", "os": "linux"}


def old_archive(tags: dict[str, dict[str, str]] | None) -> dict[str, bytes]:
    """What Docker 1.9 wrote: two layers, each in a folder."""
    low, high = "a" * 64, "b" * 64
    rows = {
        low: {"id": low, **OLD, "container_config": {"Cmd": ["/bin/sh", "-c", "#(nop) ADD x"]}},
        high: {"id": high, "parent": low, **OLD, "config": {"Cmd": ["sh"]}, "Size": 5},
    }
    members: dict[str, bytes] = {}
    for n, (folder, row) in enumerate(rows.items()):
        members[f"{folder}/VERSION"] = b"1.0"
        members[f"{folder}/json"] = json.dumps(row).encode()
        members[f"{folder}/layer.tar"] = large_layer(f"old{n}")
    if tags is not None:
        members["repositories"] = json.dumps(tags).encode()
    return members


def test_archives_from_before_docker_1_10_are_taken(box: Box) -> None:
    members = old_archive({"old/image": {"1": "b" * 64, "2": "b" * 64}})
    assert load(box, tar_of(members))[0][1] == ["old/image:1", "old/image:2"]
    image = box.library.resolve("old/image:1")
    assert [str(d) for d in image.diff_ids] == [sha256(large_layer(f"old{n}")) for n in (0, 1)]
    assert image.config.run == {"Cmd": ["sh"]}
    assert [entry.created_by for entry in image.config.history] == ["/bin/sh -c #(nop) ADD x", ""]
    assert not {"id", "parent", "Size"} & set(image.config.document)


def test_their_configs_are_written_as_docker_writes_them(box: Box) -> None:
    """Keys sorted, nothing of the folder: then the image ID is Docker's too."""
    load(box, tar_of(old_archive({"old": {"1": "b" * 64}})))
    raw = box.library.resolve("old:1").config.raw
    assert raw.startswith(b'{"architecture":"amd64","config":{"Cmd":["sh"]},"created":"2014')
    assert b'"history":[{"created":"2014-01-01T00:00:00Z","created_by":"/bin/sh' in raw


def test_without_names_the_images_nobody_stands_on_are_taken(box: Box) -> None:
    ((_, names),) = load(box, tar_of(old_archive(None)))
    assert names == []
    assert len(box.library.list()[0].tags) == 0


def test_a_name_on_a_lower_layer_is_an_image_of_its_own(box: Box) -> None:
    members = old_archive({"low": {"1": "a" * 64}, "high": {"1": "b" * 64}})
    assert sorted(names for _, names in load(box, tar_of(members))) == [["high:1"], ["low:1"]]
