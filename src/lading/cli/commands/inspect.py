"""``lading inspect``, and the same of one kind of thing: all that the engine knows of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence

from lading.cli.client import Client
from lading.cli.command import ANY, Command
from lading.cli.faults import Fault, Misuse, Refused, Unreachable
from lading.cli.flags import SWITCH, TEXT, Arguments, Flag
from lading.cli.references import reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lading.cli.gotemplate import Template

    Document = dict[str, Any]
    Look = Callable[[str], tuple[str, Document]]

_NOT_FOUND = 404
_BAD_TEMPLATE = 64
_SIZED = "container"
# kind: where the engine tells of it; tried in this order
_PATHS = {
    "container": "/containers/{}/json",
    "image": "/lading/v1/images/{}/json",
    "network": "/networks/{}",
    "volume": "/volumes/{}",
}


def run(arguments: Arguments, client: Client) -> int:
    """Show things of any kind, or of the one that ``--type`` names."""
    kind = arguments.text("type")
    if kind and kind not in _PATHS:
        wanted = ", ".join(f'"{name}"' for name in _PATHS)
        raise Misuse(f'unknown type: "{kind}": must be one of {wanted}', 1)
    return _show(
        arguments, _looking(client, [kind] if kind else list(_PATHS), sized=arguments.on("size"))
    )


def of_containers(arguments: Arguments, client: Client) -> int:
    """Show containers."""
    return _show(arguments, _looking(client, ["container"], sized=arguments.on("size")))


def of_images(arguments: Arguments, client: Client) -> int:
    """Show images, and where their layers lie."""
    return _show(arguments, _looking(client, ["image"]))


def of_networks(arguments: Arguments, client: Client) -> int:
    """Show networks."""
    return _show(arguments, _looking(client, ["network"]))


def of_volumes(arguments: Arguments, client: Client) -> int:
    """Show volumes."""
    return _show(arguments, _looking(client, ["volume"]))


def _looking(client: Client, kinds: Sequence[str], *, sized: bool = False) -> Look:
    """How to find a thing by its name: its kind, and all about it."""

    def look(name: str) -> tuple[str, Document]:
        for kind in kinds:
            query = {"size": True} if sized and kind == _SIZED else {}
            try:
                found: Document = client.get(_PATHS[kind].format(reference(name)), **query)
            except Refused as error:
                if len(kinds) == 1 or error.status != _NOT_FOUND:
                    raise
                continue
            if sized and kind != _SIZED:
                print(f"WARNING: --size ignored for {kind}", file=sys.stderr)
            return kind, found
        raise Fault(f"No such object: {name}")

    return look


def _show(arguments: Arguments, look: Look) -> int:
    """Print what is found, and then say what is not."""
    form = arguments.text("format")
    template = _compiled(form) if form not in ("", "json") else None
    found: list[Document] = []
    texts: list[str] = []
    faults: list[Fault] = []
    for name in arguments.operands:
        try:
            kind, document = look(name)
            found.append(document)
            if template is not None:
                texts.append(_executed(template, kind, document))
        except Unreachable:
            raise
        except Fault as fault:
            faults.append(fault)
    print(_text(form, found) if template is None else "\n".join(texts), flush=True)
    for each in faults:
        print(f"lading: {each}", file=sys.stderr)
    return 1 if faults else 0


def _text(form: str, found: list[Document]) -> str:
    if form == "json":
        return json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    return json.dumps(found, ensure_ascii=False, indent=4)


def _compiled(form: str) -> Template:
    from lading.cli.gotemplate import TemplateError, parse

    try:
        return parse(form)
    except TemplateError as error:
        raise Fault(f"template parsing error: {error}", _BAD_TEMPLATE) from None


def _executed(template: Template, kind: str, document: Document) -> str:
    """By Go's names and zero values at first; where that fails, by the document's own."""
    from lading.cli import documents
    from lading.cli.gotemplate import TemplateError

    typed = getattr(documents, kind.upper())
    try:
        return template.execute(typed(document))
    except TemplateError:
        pass
    try:
        return template.execute(document)
    except TemplateError as error:
        raise Fault(f"template parsing error: {error}") from None


_FORMAT = Flag("format", TEXT, "Format output: 'json' or a Go template", short="f")
_SIZE = Flag("size", SWITCH, "Display total file sizes", short="s")
_TYPE = Flag("type", TEXT, "Only inspect objects of the given type", values=tuple(_PATHS))


def _command(
    run: Callable[[Arguments, Client], int], word: str, *flags: Flag, example: str, complete: str
) -> Command:
    return Command(
        run,
        f"[OPTIONS] {word} [{word}...]",
        example=example,
        flags=(_FORMAT, *flags),
        operands=(1, ANY),
        complete=complete,
    )


COMMANDS = {
    "inspect": _command(
        run,
        "NAME|ID",
        Flag("size", SWITCH, "Display total file sizes if the type is container", short="s"),
        _TYPE,
        example="lading inspect web\nlading inspect -f '{{.State.Status}}' web",
        complete="containers",
    ),
    "container inspect": _command(
        of_containers,
        "CONTAINER",
        _SIZE,
        example="lading container inspect --size web",
        complete="containers",
    ),
    "image inspect": _command(
        of_images,
        "IMAGE",
        Flag("platform", TEXT, "Inspect a specific platform of the image", refused=True),
        example="lading image inspect busybox\n"
        "lading image inspect -f '{{range .Lading.Layers}}{{.Path}}{{\"\\n\"}}{{end}}' busybox",
        complete="images",
    ),
    "network inspect": _command(
        of_networks,
        "NETWORK",
        Flag("verbose", SWITCH, "Verbose output for diagnostics", short="v", refused=True),
        example="lading network inspect bridge",
        complete="networks",
    ),
    "volume inspect": _command(
        of_volumes, "VOLUME", example="lading volume inspect site", complete="volumes"
    ),
}
