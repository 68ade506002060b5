"""RUN, COPY and ADD: the instructions that take files, mounts and heredocs."""

from __future__ import annotations

from typing import Any

from lading.build import mounts
from lading.build.instruction import Add, Command, Copy, InlineFile, Run, RunMount
from lading.build.lines import heredoc_of
from lading.build.mounts import InvalidMount
from lading.build.words import Clause

_PIPES = "/dev/pipes"
_NETWORKS = ("default", "none", "host")
_SECURITY = ("sandbox", "insecure")


def run(clause: Clause) -> Run:
    """``RUN``; a heredoc alone is the script, another stays for the shell to read."""
    command, script = _command(clause)
    if not command.words:
        raise clause.wrong("RUN requires at least one argument")
    texts = clause.flags.many("mount")
    return Run(
        text=clause.text,
        where=clause.where,
        command=command,
        mounts=tuple(_mount(clause, text) for text in texts),
        mount_texts=texts,
        network=clause.flags.choice("network", *_NETWORKS),
        security=clause.flags.choice("security", *_SECURITY),
        script=script,
    )


def _mount(clause: Clause, text: str) -> RunMount:
    try:
        return mounts.parse(text, expanded=False)
    except InvalidMount as error:
        raise clause.wrong(str(error)) from None


def _command(clause: Clause) -> tuple[Command, InlineFile | None]:
    heredocs = clause.heredocs
    if not heredocs:
        return clause.command(), None
    if heredoc_of(clause.rest) is None:
        bodies = (f"\n{heredoc.raw}{heredoc.name}" for heredoc in heredocs)
        return Command.of_shell("".join([clause.rest, *bodies])), None
    content = heredocs[0].content
    if content.startswith("#!"):
        name = heredocs[0].name.replace("/", "_")
        return Command((f"{_PIPES}/{name}",), shell=False), InlineFile(name, content)
    return Command.of_shell(content), None


def copy(clause: Clause) -> Copy:
    """``COPY``."""
    source_from = clause.flags.text("from")
    if "$" in source_from:
        raise clause.wrong(
            f"'{source_from[:80]}': variable expansion is not supported for --from, "
            "define a new stage with FROM using ARG from global scope as a workaround"
        )
    return Copy(**_transfer(clause), source_from=source_from)


def add(clause: Clause) -> Add:
    """``ADD``."""
    return Add(
        **_transfer(clause),
        checksum=clause.flags.text("checksum"),
        keep_git_dir=clause.flags.boolean("keep-git-dir") or False,
        unpack=clause.flags.boolean("unpack"),
    )


def _transfer(clause: Clause) -> dict[str, Any]:
    """What COPY and ADD have in common."""
    words = clause.json()
    if words is None:
        words = tuple(clause.blank_separated()) if clause.rest else ()
    if len(words) < 2:
        raise clause.wrong(
            f"{clause.keyword} requires at least two arguments, but only one was provided. "
            "Destination could not be determined"
        )
    *sources, destination = words
    if clause.heredocs and heredoc_of(destination):
        raise clause.wrong(f"{clause.keyword} cannot accept a heredoc as a destination")
    return {
        "text": clause.text,
        "where": clause.where,
        "sources": tuple(word for word in sources if not _is_heredoc(clause, word)),
        "destination": destination,
        "files": tuple(_file(clause, word) for word in sources if _is_heredoc(clause, word)),
        "chown": clause.flags.text("chown"),
        "chmod": clause.flags.text("chmod"),
        "link": clause.flags.boolean("link") or False,
        "parents": clause.flags.boolean("parents") or False,
        "exclude": clause.flags.many("exclude"),
    }


def _is_heredoc(clause: Clause, word: str) -> bool:
    return bool(clause.heredocs) and heredoc_of(word) is not None


def _file(clause: Clause, word: str) -> InlineFile:
    begun = heredoc_of(word)
    name = begun.name if begun else ""
    heredoc = next((h for h in clause.heredocs if h.name == name), None)
    if heredoc is None:
        raise clause.wrong(f"heredoc {word[:80]!r} has no text")
    if "/" in name or name in (".", ".."):
        raise clause.wrong(f"heredoc {name[:80]!r} cannot be the name of a file")
    return InlineFile(name, heredoc.content, heredoc.expand)
