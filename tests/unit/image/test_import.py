"""A root file system in a tar becomes an image: `import`, and the changes that it takes."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from image_box import Box, large_layer, layer, sha256
from lading.errors import Invalid
from lading.image import flat
from lading.image.changes import InvalidChange, apply_changes
from lading.image.words import InvalidWord
from lading.oci.platform import Platform
from lading.oci.reference import Reference


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path)
    yield box
    box.close()


@pytest.mark.parametrize("content", [layer(), large_layer(), gzip.compress(large_layer())])
def test_a_tar_is_the_only_layer(box: Box, content: bytes) -> None:
    image = flat.import_tar(box.library, io.BytesIO(content))
    tar = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    assert [str(diff_id) for diff_id in image.diff_ids] == [sha256(tar)]
    assert str(image.manifest.layers[0].digest) == sha256(content)
    assert list(box.library.names(image.id)) == []


def test_what_was_asked_for_is_in_the_config(box: Box) -> None:
    image = flat.import_tar(
        box.library,
        io.BytesIO(layer()),
        reference=Reference.parse("made:1"),
        changes=["CMD sleep 5", "ENV A=b\nENV C=$A"],
        message="from somewhere",
        platform=Platform.parse("linux/arm64/v8"),
    )
    assert box.library.resolve("made:1") == image
    assert image.config.run["Cmd"] == ["/bin/sh", "-c", "sleep 5"]
    assert image.config.run["Env"] == ["A=b", "C=b"]
    assert str(image.config.platform) == "linux/arm64/v8"
    (row,) = box.library.history(image)
    assert (row.comment, row.size, row.tags) == ("from somewhere", len(layer()), ("made:1",))


def test_without_a_message_it_says_that_it_was_imported(box: Box) -> None:
    image = flat.import_tar(box.library, io.BytesIO(layer()))
    assert image.config.history[0].comment == "Imported from -"


class Untouched(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise AssertionError("the tar was read")


@pytest.mark.parametrize("name", ["x@sha256:" + "0" * 64, "sha256:1"])
def test_names_and_changes_are_checked_before_the_tar_is_read(box: Box, name: str) -> None:
    with pytest.raises(Invalid):
        flat.import_tar(box.library, Untouched(), reference=Reference.parse(name))
    with pytest.raises(InvalidChange):
        flat.import_tar(box.library, Untouched(), changes=["RUN true"])


@pytest.mark.parametrize("content", [b"text" * 1000, layer()[:700], gzip.compress(layer())[:-9]])
def test_a_tar_that_is_none_leaves_nothing(box: Box, content: bytes) -> None:
    with pytest.raises(Invalid):
        flat.import_tar(box.library, io.BytesIO(content), reference=Reference.parse("x:1"))
    assert box.contents() == set()


@pytest.mark.parametrize(
    ("change", "run"),
    [
        ('CMD ["a", "b c"]', {"Cmd": ["a", "b c"]}),
        ("cmd a b", {"Cmd": ["/bin/sh", "-c", "a b"]}),
        ('ENTRYPOINT ["a"]', {"Entrypoint": ["a"], "Cmd": None}),
        ("ENV A=1 B='2 3'", {"Env": ["A=1", "B=2 3"]}),
        ("ENV A 1 2", {"Env": ["A=1 2"]}),
        ("EXPOSE 80 90-91/udp", {"ExposedPorts": {"80/tcp": {}, "90/udp": {}, "91/udp": {}}}),
        ('LABEL a="b c" d=e', {"Labels": {"a": "b c", "d": "e"}}),
        ("USER 1000:1000", {"User": "1000:1000"}),
        ("VOLUME /a /b", {"Volumes": {"/a": {}, "/b": {}}}),
        ("WORKDIR a/../b", {"WorkingDir": "/b"}),
        ("STOPSIGNAL SIGQUIT", {"StopSignal": "SIGQUIT"}),
        ("ONBUILD RUN x", {"OnBuild": ["RUN x"]}),
        ('SHELL ["s"]', {"Shell": ["s"]}),
        ("HEALTHCHECK NONE", {"Healthcheck": {"Test": ["NONE"]}}),
        (
            "HEALTHCHECK --interval=5s --retries=2 CMD x",
            {"Healthcheck": {"Test": ["CMD-SHELL", "x"], "Interval": 5 * 10**9, "Retries": 2}},
        ),
        ("# nothing\n\nUSER \\\n me", {"User": "me"}),
    ],
)
def test_changes_mean_what_they_mean_in_a_dockerfile(change: str, run: dict[str, Any]) -> None:
    assert apply_changes({}, [change]) == run


@pytest.mark.parametrize(
    "change",
    ["RUN x", "FROM x", "ENV", "ENV A", "ENV A=1 B", "ENV =1", "EXPOSE x", "EXPOSE 0",
     "EXPOSE 70000", "EXPOSE 9-8", "USER a b", "WORKDIR", "VOLUME []", "STOPSIGNAL SIGNOPE",
     "SHELL sh", "ONBUILD ONBUILD x", "ONBUILD FROM x", "HEALTHCHECK CMD",
     "HEALTHCHECK --x=1 CMD y", "HEALTHCHECK --retries=0 CMD y"],
)  # fmt: skip
def test_changes_that_mean_nothing_are_refused(change: str) -> None:
    with pytest.raises(InvalidChange):
        apply_changes({}, [change])


def test_variables_come_from_what_was_set_before() -> None:
    run = apply_changes({}, ["ENV A=x", "ENV B=${A}/${C:-y}/${A:+z}", "LABEL l='$A' m=\"$A\""])
    assert run["Env"] == ["A=x", "B=x/y/z"]
    assert run["Labels"] == {"l": "$A", "m": "x"}


def test_open_quotes_and_endless_variables_are_refused() -> None:
    for text in ("USER 'x", "USER ${x", "USER " + "${A:-" * 100 + "}" * 100, "USER ${A:?gone}"):
        with pytest.raises(InvalidWord):
            apply_changes({}, [text])
