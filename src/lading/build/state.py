"""An image on its way: the config so far and the layers it stands on; each step gives a new one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from lading.image import edit
from lading.image.edit import Step
from lading.image.layers import Layer
from lading.oci.config import ImageConfig
from lading.oci.digest import Digest
from lading.oci.documents import encode
from lading.oci.platform import Platform

Run = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class State:
    """*config* and *layers* agree; *base* is the image that the stage began with, if any.

    *has_command*: its command is of this Dockerfile, so that an ENTRYPOINT keeps it.
    """

    config: ImageConfig
    layers: tuple[Layer, ...]
    base: Digest | None = None
    has_command: bool = False

    @classmethod
    def scratch(cls, platform: Platform) -> State:
        """Nothing yet."""
        fields = {
            "architecture": platform.architecture,
            "os": platform.os,
            "variant": platform.variant,
        }
        document = {key: value for key, value in fields.items() if value}
        return cls(ImageConfig.parse(encode(document | {"rootfs": _NO_LAYERS})), ())

    @property
    def id(self) -> Digest:
        """What the image's ID would be."""
        return self.config.id

    @property
    def run(self) -> Run:
        return self.config.run

    @property
    def diff_ids(self) -> tuple[Digest, ...]:
        return self.config.diff_ids

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the image, by name."""
        pairs = (entry.partition("=") for entry in self.run.get("Env") or ())
        return {name: value for name, _, value in pairs}

    @property
    def fingerprint(self) -> str:
        """Everything of it that a next step's result can depend on: not its past, nor its age."""
        facts = [
            [str(layer) for layer in self.diff_ids],
            {key: value for key, value in self.run.items() if value},
            str(self.config.platform),
        ]
        return hashlib.sha256(msgspec.json.encode(facts, order="deterministic")).hexdigest()

    def then(self, step: Step, *, layer: Layer | None = None, run: Run | None = None) -> State:
        """The state after *step*, with one *layer* more and another way to *run* it."""
        diff_id = layer.diff_id if layer else None
        config = edit.append_layer(self.config, diff_id, step, run=run)
        layers = (*self.layers, layer) if layer else self.layers
        return replace(self, config=ImageConfig.parse(config), layers=layers)

    def with_run(self, run: Run) -> State:
        """The same with another config, without a step: for the beginning of a stage."""
        document = {**self.config.document, "config": {k: v for k, v in run.items() if v}}
        return replace(self, config=ImageConfig.parse(encode(document)))


_NO_LAYERS: Mapping[str, Any] = {"type": "layers", "diff_ids": []}
