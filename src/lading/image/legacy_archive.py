"""Archives from before Docker 1.10: a folder for each layer, and `repositories` with the names.

Each folder has the layer (layer.tar), what Docker knew of the image that ends there (json)
and, as "parent", the folder of the layer below.
https://github.com/moby/docker-image-spec/blob/main/v1.md#combined-image-json--filesystem-changeset-format
"""

from __future__ import annotations

import re
from typing import Any

from lading.image.docker_archive import DockerImage, tag
from lading.image.intake import Intake
from lading.oci.documents import InvalidDocument, array, encode, parse, table, text
from lading.oci.reference import Reference

_ID = re.compile(r"[0-9a-f]{64}")
_MOST_LAYERS = 256  # Docker allowed 127
_MOST_IMAGES = 256
# What v1 says of the folder; the rest is what became the config.
_OF_THE_FOLDER = frozenset(("id", "parent", "Size", "parent_id", "layer_id", "throwaway"))


def images(intake: Intake) -> list[DockerImage]:
    """Each image that has a name, and each that no other one stands on; InvalidDocument."""
    names = _names(intake)
    folders = {folder: _read(intake, folder) for folder in intake.folders("json") if _is_id(folder)}
    below = {_parent(document) for document in folders.values()}
    tips = dict.fromkeys((*names, *(folder for folder in folders if folder not in below)))
    if len(tips) > _MOST_IMAGES:
        raise InvalidDocument("archive", f"{len(tips)} images of the old kind")
    return [_image(intake, tip, names.get(tip, ())) for tip in tips]


def _names(intake: Intake) -> dict[str, tuple[Reference, ...]]:
    """The names by folder."""
    found: dict[str, tuple[Reference, ...]] = {}
    if not intake.has("repositories"):
        return found
    for repository, tags in parse(intake.document("repositories"), "repositories").items():
        for name, folder in table(tags, "repositories", "a repository").items():
            folder = _checked(text(folder, "repositories", "an image"))
            found[folder] = (*found.get(folder, ()), tag(f"{repository}:{name}"))
    return found


def _image(intake: Intake, tip: str, names: tuple[Reference, ...]) -> DockerImage:
    chain = _chain(intake, tip)
    layers = tuple(f"{folder}/layer.tar" for folder, _ in chain)
    config = {key: value for key, value in chain[-1][1].items() if key not in _OF_THE_FOLDER}
    config["history"] = [_told(document) for _, document in chain]
    diff_ids = [str(intake.layer(layer).diff_id) for layer in layers]
    config["rootfs"] = {"type": "layers", "diff_ids": diff_ids}
    # Sorted, as Docker does it: the same image ID comes out.
    return DockerImage(encode(dict(sorted(config.items()))), layers, names)


def _chain(intake: Intake, tip: str) -> list[tuple[str, dict[str, Any]]]:
    """The folders that make up the image, the lowest first, each with its json."""
    chain: list[tuple[str, dict[str, Any]]] = []
    folder = tip
    while folder:
        if len(chain) == _MOST_LAYERS:  # perhaps it goes round in a circle
            raise InvalidDocument(
                "archive", f"{tip[:12]} stands on more than {_MOST_LAYERS} layers"
            )
        chain.append((folder, _read(intake, folder)))
        folder = _parent(chain[-1][1])
    return chain[::-1]


def _read(intake: Intake, folder: str) -> dict[str, Any]:
    return parse(intake.document(f"{folder}/json"), "json of a layer")


def _parent(document: dict[str, Any]) -> str:
    """The folder below; empty for the lowest one."""
    parent = text(document.get("parent"), "json of a layer", "parent")
    return _checked(parent) if parent else ""


def _told(document: dict[str, Any]) -> dict[str, Any]:
    """One entry of the history (config.md#properties, "history")."""
    what = "json of a layer"
    ran = table(document.get("container_config"), what, "container_config")
    words = [text(word, what, "Cmd") for word in array(ran.get("Cmd"), what, "Cmd")]
    fields = {key: text(document.get(key), what, key) for key in ("created", "author", "comment")}
    fields["created_by"] = " ".join(words)
    order = ("created", "author", "created_by", "comment")
    return {key: fields[key] for key in order if fields[key]}


def _checked(folder: str) -> str:
    if not _is_id(folder):
        raise InvalidDocument("archive", f"{folder[:80]!r} is not the ID of an image")
    return folder


def _is_id(folder: str) -> bool:
    return _ID.fullmatch(folder) is not None
