"""Image archives as strangers would make them: what their documents say is not so.

Rows are those of the project's list of hostile inputs (class 1a, rows 12 and 21 to 27).
Nothing here is about the tars that are layers: see `hostile.corpus`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import zstandard

from hostile.corpus import Case, Outcome
from hostile.rawtar import file, hardlink, member, pax, symlink, tar
from image_box import (
    CONFIG,
    INDEX,
    LAYER,
    MANIFEST,
    NAME,
    REF,
    Layout,
    config,
    docker_archive,
    layer,
    sha256,
    tar_of,
)

REFUSED, HARMLESS = Outcome.REFUSED, Outcome.HARMLESS
Members = dict[str, bytes]
TAR = layer()
ZEROS = "sha256:" + "0" * 64


def cases() -> Iterator[Case]:
    """Every case; names are unique."""
    yield from _paths()
    yield from _links()
    yield from _shapes()
    yield from _counts()
    yield from _confusions()
    yield from _graphs()
    yield from _sizes()
    yield from _old()
    yield from _bombs()


def _members(row: int, name: str, members: Members, outcome: Outcome = REFUSED) -> Case:
    return Case(row, name, outcome, lambda victim: tar_of(members))


def _docker(row: int, name: str, outcome: Outcome = REFUSED, **changes: Any) -> Case:
    """An archive of Docker's with some fields of manifest.json changed."""
    return _members(row, f"docker-{name}", docker_archive([TAR], **changes), outcome)


def _layout(
    row: int, name: str, change: Callable[[Layout], object], outcome: Outcome = REFUSED
) -> Case:
    layout = Layout()
    change(layout)
    members = {**layout.members, "index.json": layout.index}
    return _members(row, f"oci-{name}", members, outcome)


def _manifest(row: int, name: str, outcome: Outcome = REFUSED, **fields: Any) -> Case:
    """A layout whose one manifest has some fields changed."""

    def change(layout: Layout) -> None:
        whole, blob = layout.blob(config([TAR]), CONFIG), layout.blob(TAR, LAYER)
        document = {"config": whole, "layers": [blob], **fields}
        layout.root(layout.document(MANIFEST, document), "docker.io/library/h:1")

    return _layout(row, name, change, outcome)


def _paths() -> Iterator[Case]:
    """Row 21: IDs, digests and names that are paths."""
    for n, path in enumerate(("../../etc/shadow", "/etc/shadow", "VICTIM/kept", "..", ".", "")):
        yield _docker(21, f"config-path-{n}", Config=path)
        yield _docker(21, f"layer-path-{n}", Layers=[path])
    good = sha256(TAR)
    digests = ("sha256:../../etc", good[:-1], good + "0", good.upper(), "md5:" + "0" * 32, "", "x")
    for n, digest in enumerate(digests):
        blob = {"mediaType": LAYER, "digest": digest, "size": len(TAR)}
        yield _manifest(21, f"layer-digest-{n}", layers=[blob])
        yield _manifest(21, f"config-digest-{n}", config={**blob, "mediaType": CONFIG})
        yield _layout(
            21, f"root-digest-{n}", lambda lay, b=blob: lay.root({**b, "mediaType": MANIFEST})
        )
        diff_ids = {"type": "layers", "diff_ids": [digest]}
        yield _docker(21, f"diff-id-{n}", raw=config([TAR], rootfs=diff_ids))
    names = ("../../x:1", "/x", "x:../y", "a//b:1", "UPPER:1", "x:" + "t" * 129, "a" * 300, "",
             "\0", "x@" + ZEROS, ZEROS, "0" * 64, "-x:1", "x:-1")  # fmt: skip
    for n, name in enumerate(names):
        yield _docker(21, f"tag-{n}", tags=[name])
    for n, name in enumerate(name for name in names if name and "@" not in name):
        yield _layout(
            21, f"name-{n}", lambda lay, x=name: lay.root(lay.image([TAR]), annotations={NAME: x})
        )
        yield _layout(
            21,
            f"ref-name-{n}",
            lambda lay, x=name: lay.root(lay.image([TAR]), annotations={REF: x}),
            HARMLESS,
        )


def _links() -> Iterator[Case]:
    """Rows 12 and 21: documents and layers that are links or special files."""
    good = docker_archive([TAR])
    ((layer_name, _), (config_name, _), (manifest_name, _)) = good.items()
    for name in (layer_name, config_name, manifest_name):
        rest = [file(other.encode(), body) for other, body in good.items() if other != name]
        short = name.rpartition("/")[2]
        targets = (b"/etc/passwd", b"../../../../etc/passwd", b"VICTIM/kept", name.encode(), b".")
        for n, target in enumerate(targets):
            for kind, make in (("symlink", symlink), ("hardlink", hardlink)):
                yield _raw(21, f"{kind}-{short[-13:]}-{n}", *rest, make(name.encode(), target))
        for flag in (b"3", b"4", b"5", b"6"):
            node = member(name.encode(), flag=flag, device=(1, 3))
            yield _raw(12, f"special-{short[-13:]}-{flag.decode()}", *rest, node)
    chain = [symlink(b"l%d" % n, b"l%d" % (n + 1)) for n in range(100)]
    row = [{"Config": "l0", "RepoTags": None, "Layers": []}]
    yield _raw(21, "chain-of-links", *chain, file(b"manifest.json", json.dumps(row).encode()))
    swapped = [file(name.encode(), body) for name, body in good.items()]
    yield _raw(19, "layer-becomes-a-link", *swapped, symlink(layer_name.encode(), b"/etc/passwd"))
    for n, name in enumerate((b"../manifest.json", b"blobs/../../x", b"a\0b")):
        outcome = HARMLESS if b"\0" in name else REFUSED
        yield _raw(2, f"member-{n}", *swapped, file(name), outcome=outcome)
    two_sizes = (pax({b"size": b"512"}), file(b"manifest.json", b"[]"))
    yield _raw(13, "two-sizes", *swapped, *two_sizes)


def _raw(row: int, name: str, *members: bytes, outcome: Outcome = REFUSED) -> Case:
    return Case(row, name, outcome, lambda v: tar(*members).replace(b"VICTIM", v))


def _shapes() -> Iterator[Case]:
    """Row 22: documents of another shape."""
    deep = b"[" * 10_000 + b"]" * 10_000
    odd = (b"", b"null", b"{}", b"[]", b"[null]", b"[[]]", b"[1]", b"1e308", b"nan", b"{", b"\xff",
           deep, b'{"a":' * 10_000 + b"1" + b"}" * 10_000, b'"x"', b'[{"Config":1}]',
           b'[{"Config":null,"Layers":null}]', b'[{"Config":"x","Config":"y"}]')  # fmt: skip
    good = docker_archive([TAR])
    config_name = next(name for name in good if name.endswith(".json"))
    for n, body in enumerate(odd):
        yield _members(22, f"manifest-json-{n}", {**good, "manifest.json": body})
        yield _members(22, f"index-json-{n}", {"index.json": body, "oci-layout": b"{}"})
        yield _members(22, f"oci-layout-{n}", {"index.json": b"{}", "oci-layout": body})
        yield _members(22, f"repositories-{n}", {"repositories": body})
        yield _docker(22, f"config-{n}", raw=body)
        yield _members(22, f"config-elsewhere-{n}", {**good, config_name: body})
        yield _layout(22, f"oci-config-{n}", lambda lay, x=body: lay.root(lay.image([TAR], raw=x)))
    for n, value in enumerate((None, {}, 1, "x", [None], [1], [[]], [{}], True)):
        yield _docker(22, f"layers-{n}", Layers=value)
        yield _manifest(22, f"layers-{n}", layers=value)
        yield _manifest(22, f"config-field-{n}", config=value)
        rootfs = {"type": "layers", "diff_ids": value}
        yield _docker(22, f"diff-ids-{n}", raw=config([TAR], rootfs=rootfs))
        if value not in (None, True):
            yield _docker(22, f"tags-{n}", tags=value)
    fields = {"config": [], "history": {}, "created": 1, "architecture": [], "rootfs": []}
    for key, value in fields.items():
        yield _docker(22, f"config-{key}", raw=config([TAR], **{key: value}))
    yield _members(22, "nothing", {})
    yield _members(22, "no-documents", {"x/layer.tar": TAR})
    yield _members(22, "a-root-file-system", {"etc/passwd": b"root", "bin/sh": b"\x7fELF"})


def _counts() -> Iterator[Case]:
    """Row 23: config and layers that do not agree."""
    two = [TAR, layer("second")]
    yield _docker(23, "fewer-diff-ids", raw=config([]))
    yield _docker(23, "more-diff-ids", raw=config(two))
    yield _docker(23, "other-diff-id", raw=config([layer("other")]))
    yield _members(23, "order", docker_archive(two, raw=config(two[::-1])))
    yield _members(23, "two-layers-one-diff-id", docker_archive(two, raw=config([TAR])))
    for n, history in enumerate(([{}, {}], [{"empty_layer": True}], [{"empty_layer": 1}])):
        yield _docker(23, f"history-{n}", raw=config([TAR], history=history))
        raw = config([TAR], history=history)
        yield _layout(23, f"history-{n}", lambda lay, x=raw: lay.root(lay.image([TAR], raw=x)))
    yield _layout(23, "no-layers", lambda lay: lay.root(lay.image([], raw=config([TAR]))))
    raw = config([layer("other")])
    yield _layout(23, "other-diff-id", lambda lay: lay.root(lay.image([TAR], raw=raw)))

    def second_is_bad() -> Members:
        first, second = (
            docker_archive([TAR], ["a:1"]),
            docker_archive([TAR], ["b:1"], raw=config([])),
        )
        rows = [json.loads(each["manifest.json"])[0] for each in (first, second)]
        return {**first, **second, "manifest.json": json.dumps(rows).encode()}

    yield _members(23, "second-image", second_is_bad())


def _confusions() -> Iterator[Case]:
    """Row 24: one document read as two things."""
    yield _manifest(24, "also-an-index", manifests=[])
    yield _manifest(24, "also-schema-1", fsLayers=[])
    yield _manifest(
        24, "other-type", mediaType="application/vnd.docker.distribution.manifest.v2+json"
    )
    yield _manifest(24, "type-of-an-index", mediaType=INDEX)
    yield _layout(24, "index-with-layers", lambda lay: lay.root(
        lay.document(INDEX, {"manifests": [lay.image([TAR])], "layers": []})))  # fmt: skip
    yield _layout(24, "manifest-as-index", lambda lay: lay.root(
        {**lay.image([TAR]), "mediaType": INDEX}))  # fmt: skip

    def as_layer(layout: Layout) -> None:
        inner = layout.image([layer("inner")])
        whole = layout.blob(config([TAR]), CONFIG)
        outer = layout.document(MANIFEST, {"config": whole, "layers": [inner]})
        layout.root(outer, "docker.io/library/h:1")

    yield _layout(24, "manifest-as-layer", as_layer)
    for n, media_type in enumerate(("", "text/plain", MANIFEST, INDEX, LAYER)):
        blob = {"digest": sha256(config([TAR])), "size": len(config([TAR]))}
        yield _manifest(24, f"config-type-{n}", config={**blob, "mediaType": media_type or "x"})
        root = {"mediaType": media_type, "digest": sha256(b"x"), "size": 1}
        yield _layout(24, f"root-type-{n}", lambda lay, r=root: lay.root(r))


def _graphs() -> Iterator[Case]:
    """Row 25: indexes that lead to very many others."""

    def amplified(layout: Layout) -> None:
        row = layout.image([TAR])
        for _ in range(10):
            row = layout.document(INDEX, {"manifests": [row] * 10})
        layout.root(row)

    def wide(layout: Layout) -> None:
        for n in range(5_000):
            layout.root({"mediaType": INDEX, "digest": sha256(b"%d" % n), "size": 1})

    def barren(layout: Layout) -> None:
        row = layout.document(INDEX, {"manifests": []})
        for n in range(3):
            row = layout.document(INDEX, {"manifests": [row] * 900, "annotations": {"n": str(n)}})
        layout.root(row)

    yield _layout(25, "ten-deep", amplified)
    yield _layout(25, "five-thousand", wide)
    yield _layout(25, "barren", barren)
    yield _layout(25, "empty", lambda lay: lay.root(lay.document(INDEX, {"manifests": []})))
    itself = {"mediaType": INDEX, "digest": sha256(b"me"), "size": 2}

    def circle(layout: Layout) -> None:
        layout.members["blobs/" + sha256(b"me").replace(":", "/")] = json.dumps(
            {"schemaVersion": 2, "manifests": [itself]}
        ).encode()
        layout.root(itself)

    yield _layout(25, "circle", circle)


def _sizes() -> Iterator[Case]:
    """Rows 26 and 27: documents that are too large, blobs of another size or content."""
    large = b" " * (5 << 20)
    for name in ("manifest.json", "index.json", "repositories", "oci-layout"):
        yield _members(26, f"large-{name}", {"index.json": b"{}", name: large})
    huge = member(b"manifest.json", size=b"%011o\0" % (1 << 31))
    yield Case(26, "claimed-two-gigabytes", REFUSED, lambda v: huge)
    for n, size in enumerate((len(TAR) + 1, len(TAR) - 1, 0, -1, 1 << 63, 1.5, "1", None)):
        blob = {"mediaType": LAYER, "digest": sha256(TAR), "size": size}
        yield _manifest(27, f"layer-size-{n}", layers=[blob])
        raw = config([TAR])
        whole = {"mediaType": CONFIG, "digest": sha256(raw), "size": size}
        yield _manifest(27, f"config-size-{n}", config=whole)
        yield _layout(27, f"root-size-{n}", lambda lay, s=size: lay.root(
            {**lay.image([TAR]), "size": s}))  # fmt: skip
    for n, change in enumerate((lambda b: b + b"\0", lambda b: b[:-1], lambda b: b"", _flipped)):
        for kind in (CONFIG, LAYER, MANIFEST):
            yield _layout(27, f"bytes-{kind[-12:]}-{n}", _with_blob(kind, change))


def _flipped(content: bytes) -> bytes:
    return content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]


def _with_blob(kind: str, change: Callable[[bytes], bytes]) -> Callable[[Layout], None]:
    def make(layout: Layout) -> None:
        whole, blob = layout.blob(config([TAR]), CONFIG), layout.blob(TAR, LAYER)
        root = layout.document(MANIFEST, {"config": whole, "layers": [blob]})
        layout.root(root, "docker.io/library/h:1")
        bad = next(each for each in (whole, blob, root) if each["mediaType"] == kind)
        path = "blobs/" + bad["digest"].replace(":", "/")
        layout.members[path] = change(layout.members[path])

    return make


def _old() -> Iterator[Case]:
    """Row 21 again, for the layout of old: IDs that are paths, and parents in a circle."""
    low, high = "a" * 64, "b" * 64

    def old(tags: Any, parent: Any = low, **more: bytes) -> Members:
        rows = {low: {"id": low}, high: {"id": high, "parent": parent}}
        members = {f"{folder}/json": json.dumps(row).encode() for folder, row in rows.items()}
        layers = {f"{folder}/layer.tar": TAR for folder in rows}
        return {**members, **layers, "repositories": json.dumps(tags).encode(), **more}

    paths = ("../../etc", "..", "VICTIM", low[:-1], low.upper(), "c" * 64, "", 1, None)
    for n, path in enumerate(paths):
        yield _members(21, f"old-id-{n}", old({"x": {"1": path}}))
        if path:
            yield _members(21, f"old-parent-{n}", old({"x": {"1": high}}, path))
    for n, name in enumerate(("../x", "/x", "X", "", "a b")):
        yield _members(21, f"old-name-{n}", old({name: {"1": high}}))
        yield _members(21, f"old-tag-{n}", old({"x": {name + "/..": high}}))
    yield _members(25, "old-circle", old({"x": {"1": high}}, high))
    without = old({"x": {"1": high}})
    del without[f"{low}/layer.tar"]
    yield _members(21, "old-without-a-layer", without)
    many = {f"{n:064x}/json": b"{}" for n in range(2_000)}
    yield _members(25, "old-many", many)
    chain = {
        f"{n:064x}/json": json.dumps({"parent": f"{n + 1:064x}"}).encode() for n in range(2_000)
    }
    yield _members(25, "old-deep", chain)


def _bombs() -> Iterator[Case]:
    """Row 17 and 16: whole archives and layers that grow, and very many members."""
    good = tar_of(docker_archive([TAR]))
    yield Case(17, "trailing-garbage", HARMLESS, lambda v: gzip.compress(good) + b"garbage" * 100)
    yield Case(17, "cut-off", REFUSED, lambda v: gzip.compress(good)[:-20])
    yield Case(17, "cut-off-tar", REFUSED, lambda v: good[:3000])
    yield Case(17, "wrong-checksum", REFUSED, lambda v: _flipped_at(gzip.compress(good), -6))
    yield Case(
        17, "two-members", HARMLESS, lambda v: gzip.compress(good[:700]) + gzip.compress(good[700:])
    )
    window = zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=True)
    wide = zstandard.ZstdCompressor(compression_params=window)
    yield Case(17, "wide-window", REFUSED, lambda v: _streamed(wide, good))
    noise = b"\x1f\x8b" + bytes(range(256)) * 400
    yield _docker(17, "layer-is-noise", stored=[noise])
    yield _docker(17, "layer-is-cut-off", stored=[gzip.compress(TAR)[:-4]])
    yield _docker(17, "layer-is-text", stored=[b"text" * 50_000])
    small = [file(b"f%d" % n, b"\x1f\x8b" + b"x" * 100) for n in range(20_000)]
    yield _raw(16, "many-small-members", *small)
    yield _raw(16, "too-many-members", *(file(b"f%d" % n, b"") for n in range(100_500)))


def _streamed(compressor: zstandard.ZstdCompressor, content: bytes) -> bytes:
    made = compressor.compressobj()  # without a size the reader must believe the window
    return made.compress(content) + made.flush()


def _flipped_at(content: bytes, at: int) -> bytes:
    changed = bytearray(content)
    changed[at] ^= 0xFF
    return bytes(changed)
