"""A Dockerfile's instructions as frozen values: what was written, with its place; nothing is done.

A value holds the words as written until `lading.build.expand` puts the variables in, which
gives a value of the same class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lading.build.errors import Location


@dataclass(frozen=True, slots=True)
class Command:
    """What is to be run: the *words* of the exec form, or (*shell*) one text for the shell.

    No words: an exec form that is empty, which clears what the image had.
    """

    words: tuple[str, ...]
    shell: bool

    @classmethod
    def of_shell(cls, text: str) -> Command:
        """The shell form of *text*."""
        return cls((text,), True)

    def argv(self, shell: tuple[str, ...]) -> tuple[str, ...]:
        """The words to execute, where the image's shell is *shell*."""
        return (*shell, *self.words) if self.shell else self.words


@dataclass(frozen=True, slots=True)
class InlineFile:
    """A file whose content stands in the Dockerfile; *expand*: variables are still to be put in."""

    name: str
    content: str
    expand: bool = False


@dataclass(frozen=True, slots=True)
class RunMount:
    """One ``--mount`` of RUN; *kind* is bind, cache, tmpfs, secret or ssh.

    *source_from* names a stage or an image ("" the context, or nothing for a cache);
    *mode* -1, *uid* -1 and *gid* -1 mean not given.  A relative *target* is beneath the
    working directory.
    """

    kind: str
    target: str = ""
    source: str = ""
    source_from: str = ""
    id: str = ""
    read_only: bool = False
    required: bool = False
    sharing: str = "shared"
    size: int = 0
    mode: int = -1
    uid: int = -1
    gid: int = -1
    env: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """What every instruction has: its *text* as written (lines joined), and where it stands."""

    keyword: ClassVar[str] = ""
    text: str
    where: Location


@dataclass(frozen=True, slots=True, kw_only=True)
class From(Instruction):
    """``FROM [--platform=P] IMAGE [AS NAME]``; *alias* is in lower case, "" when not given."""

    keyword: ClassVar[str] = "FROM"
    image: str
    platform: str = ""
    alias: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arg(Instruction):
    """``ARG NAME[=DEFAULT] ...``; a default of None was not given."""

    keyword: ClassVar[str] = "ARG"
    pairs: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Env(Instruction):
    """``ENV NAME=VALUE ...``; *legacy*: written ``ENV NAME VALUE``."""

    keyword: ClassVar[str] = "ENV"
    pairs: tuple[tuple[str, str], ...]
    legacy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Label(Instruction):
    """``LABEL NAME=VALUE ...``; *legacy*: written ``LABEL NAME VALUE``."""

    keyword: ClassVar[str] = "LABEL"
    pairs: tuple[tuple[str, str], ...]
    legacy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintainer(Instruction):
    """``MAINTAINER NAME``: the image's author."""

    keyword: ClassVar[str] = "MAINTAINER"
    author: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Instruction):
    """``RUN ...``: *command*, with heredocs already in it.

    *script* is a heredoc that begins with ``#!``: the file that *command* executes, to be
    put there (read-only, mode 0755) while it runs.  *network*: default, none or host.
    *mount_texts* are the mounts as written: variables in them come in with the expansion.
    """

    keyword: ClassVar[str] = "RUN"
    command: Command
    mounts: tuple[RunMount, ...] = ()
    mount_texts: tuple[str, ...] = ()
    network: str = "default"
    security: str = "sandbox"
    script: InlineFile | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Instruction):
    """What COPY and ADD share: *sources* (globs) and *files* go to *destination*.

    *chown*, *chmod*: "" when not given.  *exclude*: .dockerignore patterns.
    """

    sources: tuple[str, ...]
    destination: str
    files: tuple[InlineFile, ...] = ()
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(Transfer):
    """``COPY``; *source_from* names a stage, its number or an image; "" is the context."""

    keyword: ClassVar[str] = "COPY"
    source_from: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Add(Transfer):
    """``ADD``; *unpack* None: local archives are unpacked, fetched ones are not."""

    keyword: ClassVar[str] = "ADD"
    checksum: str = ""
    keep_git_dir: bool = False
    unpack: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workdir(Instruction):
    """``WORKDIR PATH``, relative to the one before."""

    keyword: ClassVar[str] = "WORKDIR"
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class User(Instruction):
    """``USER USER[:GROUP]``."""

    keyword: ClassVar[str] = "USER"
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume(Instruction):
    """``VOLUME PATH ...`` or its JSON form."""

    keyword: ClassVar[str] = "VOLUME"
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expose(Instruction):
    """``EXPOSE PORT[-PORT][/PROTOCOL] ...``, as written."""

    keyword: ClassVar[str] = "EXPOSE"
    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmd(Instruction):
    """``CMD``."""

    keyword: ClassVar[str] = "CMD"
    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrypoint(Instruction):
    """``ENTRYPOINT``."""

    keyword: ClassVar[str] = "ENTRYPOINT"
    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck(Instruction):
    """``HEALTHCHECK``: *test* as Docker keeps it (NONE, CMD or CMD-SHELL first).

    The times are nanoseconds, 0 when not given.
    """

    keyword: ClassVar[str] = "HEALTHCHECK"
    test: tuple[str, ...]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell(Instruction):
    """``SHELL ["...", ...]``."""

    keyword: ClassVar[str] = "SHELL"
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopsignal(Instruction):
    """``STOPSIGNAL``: a name or a number."""

    keyword: ClassVar[str] = "STOPSIGNAL"
    signal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Onbuild(Instruction):
    """``ONBUILD INSTRUCTION``: the *trigger*'s text, heredocs included, as the image keeps it."""

    keyword: ClassVar[str] = "ONBUILD"
    trigger: str
