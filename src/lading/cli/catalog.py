"""Every command's name, where it is written, and its one line of help.

The module of a command is imported when it is called, so a command pays for itself only.
"""

from __future__ import annotations

from collections.abc import Mapping

from lading.cli.command import Command
from lading.cli.faults import Misuse

# name: (module below `lading.cli.commands`, summary)
COMMANDS: Mapping[str, tuple[str, str]] = {
    "attach": ("attach", "Attach local standard input, output and error to a running container"),
    "build": ("build", "Build an image from a Dockerfile"),
    "commit": ("commit", "Create a new image from a container's changes"),
    "completion": ("completion", "Print the completion script for a shell"),
    "cp": ("cp", "Copy files/folders between a container and the local filesystem"),
    "create": ("create", "Create a new container"),
    "daemon": ("daemon", "Run the engine in the foreground"),
    "diff": ("diff", "Inspect changes to files or directories on a container's filesystem"),
    "doctor": ("doctor", "Check this host, and say how to mend it"),
    "events": ("events", "Get real time events from the engine"),
    "exec": ("exec", "Execute a command in a running container"),
    "export": ("export", "Export a container's filesystem as a tar archive"),
    "fsck": ("fsck", "Check everything this engine keeps, and mend what can be mended"),
    "gc": ("fsck", "Free what no image, no container and no operation needs"),
    "history": ("history", "Show the history of an image"),
    "images": ("images", "List images"),
    "import": ("load", "Import the contents from a tarball to create a filesystem image"),
    "info": ("about", "Display system-wide information"),
    "inspect": ("inspect", "Return low-level information on lading objects"),
    "kill": ("lifecycle", "Kill one or more running containers"),
    "load": ("load", "Load an image from a tar archive, a directory or STDIN"),
    "login": ("login", "Authenticate to a registry"),
    "logout": ("login", "Log out from a registry"),
    "logs": ("logs", "Fetch the logs of a container"),
    "migrate": ("migrate", "Bring a container to another engine, which goes on with it"),
    "pause": ("lifecycle", "Pause all processes within one or more containers"),
    "port": ("port", "List port mappings or a specific mapping for the container"),
    "ps": ("ps", "List containers"),
    "pull": ("pull", "Download an image from a registry"),
    "push": ("pull", "Upload an image to a registry"),
    "rename": ("lifecycle", "Rename a container"),
    "restore": ("restore", "Make containers again from their backups"),
    "restart": ("lifecycle", "Restart one or more containers"),
    "rm": ("lifecycle", "Remove one or more containers"),
    "rmi": ("rmi", "Remove one or more images"),
    "run": ("run", "Create and run a new container from an image"),
    "save": ("save", "Save one or more images to a tar archive (streamed to STDOUT by default)"),
    "search": ("search", "Search a registry for images"),
    "start": ("start", "Start one or more stopped containers"),
    "stats": ("stats", "Display a live stream of container(s) resource usage statistics"),
    "stop": ("lifecycle", "Stop one or more running containers"),
    "tag": ("rmi", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"),
    "top": ("top", "Display the running processes of a container"),
    "unpause": ("lifecycle", "Unpause all processes within one or more containers"),
    "update": ("update", "Update configuration of one or more containers"),
    "version": ("about", "Show the lading version information"),
    "wait": ("lifecycle", "Block until one or more containers stop, then print their exit codes"),
    "builder prune": ("prune", "Remove build cache"),
    "backup cat": ("backup", "Print one file of a backup"),
    "backup copy": ("backup", "Copy a backup to another target"),
    "backup create": ("backup", "Back up containers whole"),
    "backup diff": ("backup", "Show what changed between two backups"),
    "backup files": ("backup", "List the files of a backup"),
    "backup ls": ("backup", "List the backups at a target"),
    "backup prune": ("backup", "Remove old backups, and free what they alone needed"),
    "backup show": ("backup", "Show what is in a backup"),
    "backup unpack": ("backup", "Write a backup in forms that need no lading"),
    "backup verify": ("backup", "Check that backups are whole"),
    "container inspect": ("inspect", "Display detailed information on one or more containers"),
    "container prune": ("prune", "Remove all stopped containers"),
    "image bootstrap": ("bootstrap", "Make a base image without any registry"),
    "image copy": ("copy", "Copy an image between registries, archives, layouts and engines"),
    "image inspect": ("inspect", "Display detailed information on one or more images"),
    "image ls-remote": ("remote", "List the tags of a repository on a registry"),
    "image prune": ("prune", "Remove unused images"),
    "manifest inspect": ("remote", "Display an image manifest, or manifest list"),
    "network connect": ("network_change", "Connect a container to a network"),
    "network create": ("network_change", "Create a network"),
    "network disconnect": ("network_change", "Disconnect a container from a network"),
    "network inspect": ("inspect", "Display detailed information on one or more networks"),
    "network ls": ("network", "List networks"),
    "network prune": ("prune", "Remove all unused networks"),
    "network rm": ("network_change", "Remove one or more networks"),
    "registry gc": ("registry", "Free what nothing needs"),
    "registry retain": ("registry", "Remove old tags by a rule"),
    "registry scrub": ("registry", "Hash everything kept, and put aside what is damaged"),
    "registry serve": ("registry", "Run a registry in the foreground"),
    "registry user": ("registry", "Add, remove and list users and robot accounts"),
    "system dial-stdio": ("dial", "Join standard input and output with the engine's socket"),
    "system df": ("df", "Show disk usage"),
    "system prune": ("prune", "Remove unused objects"),
    "system reset": ("reset", "Remove everything this engine keeps, and stop it"),
    "volume create": ("volume", "Create a volume"),
    "volume inspect": ("inspect", "Display detailed information on one or more volumes"),
    "volume ls": ("volume", "List volumes"),
    "volume prune": ("prune", "Remove unused local volumes"),
    "volume rm": ("volume", "Remove one or more volumes"),
}

_CONTAINER = (
    "attach commit cp create diff exec export kill logs pause port rename restart rm run start"
    " stats stop top unpause update wait"
)
_IMAGE = "build history import load pull push save tag"


def _forms(group: str, same: str, own: str, **others: str) -> dict[str, str]:
    forms = {name: name for name in same.split()}
    forms.update({name: f"{group} {name}" for name in own.split()})
    forms.update(others)
    return forms


# group: (summary, {word: the command's name in COMMANDS})
GROUPS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "backup": (
        "Manage backups",
        _forms(
            "backup",
            "",
            "cat copy create diff files ls prune show unpack verify",
            list="backup ls",
            restore="restore",
        ),
    ),
    "container": (
        "Manage containers",
        _forms("container", _CONTAINER, "inspect prune", ls="ps", list="ps", ps="ps", remove="rm"),
    ),
    "image": (
        "Manage images",
        _forms(
            "image",
            _IMAGE,
            "bootstrap copy inspect ls-remote prune",
            ls="images",
            list="images",
            rm="rmi",
            remove="rmi",
        ),
    ),
    "manifest": (
        "Manage image manifests and manifest lists",
        _forms("manifest", "", "inspect"),
    ),
    "builder": ("Manage builds", _forms("builder", "build", "prune")),
    "network": (
        "Manage networks",
        _forms(
            "network",
            "",
            "connect create disconnect inspect ls prune rm",
            list="network ls",
            remove="network rm",
        ),
    ),
    "registry": ("Run a registry", _forms("registry", "", "gc retain scrub serve user")),
    "system": ("Manage lading", _forms("system", "events info", "df dial-stdio prune reset")),
    "volume": (
        "Manage volumes",
        _forms("volume", "", "create inspect ls prune rm", list="volume ls", remove="volume rm"),
    ),
}

# Docker's commands that lading does not have yet.
_DOCKER_ALONE = (
    "buildx checkpoint compose config context node plugin secret service stack swarm trust"
)
NOT_YET = frozenset(_DOCKER_ALONE.split()) | {
    *("adopt", "backup schedule"),
    *(f"manifest {verb}" for verb in ("annotate", "create", "push", "rm")),
    "volume update",
}


class Found:
    """A command and the name it was called by."""

    __slots__ = ("command", "name")

    def __init__(self, name: str, command: Command) -> None:
        self.name = name
        self.command = command


def load(name: str) -> Command:
    """The command called *name* in COMMANDS."""
    module = __import__(f"lading.cli.commands.{COMMANDS[name][0]}", fromlist=["COMMANDS"])
    command = module.COMMANDS[name]
    assert isinstance(command, Command)
    return command


def find(words: list[str]) -> tuple[Found, list[str]]:
    """The command that *words* begin with, and what follows; Misuse when there is none."""
    first, rest = words[0], words[1:]
    if first in GROUPS:
        second = rest.pop(0) if rest else ""
        called = f"{first} {second}"
        known = GROUPS[first][1].get(second)
    else:
        called, known = first, first if first in COMMANDS and " " not in first else None
    if called in NOT_YET:
        raise Misuse(f"'lading {called}' is not supported yet", 1)
    if known is None:
        raise _unknown(called)
    return Found(called, load(known)), rest


def _unknown(called: str) -> Misuse:
    group, _, word = called.rpartition(" ")
    known = GROUPS[group][1] if group else [n for n in (*COMMANDS, *GROUPS) if " " not in n]
    near = [f"{group} {name}".strip() for name in known if _distance(word, name) <= 2]
    near += [f"{group} {name}".strip() for name in known if name.startswith(word) and len(word) > 2]
    message = f"unknown command: lading {called}"
    if near:
        message += (
            "\n\nDid you mean " + " or ".join(f"'lading {n}'" for n in dict.fromkeys(near)) + "?"
        )
    return Misuse(message, 1)


def _distance(one: str, two: str) -> int:
    """How many letters must change, appear, vanish or swap to make the one the other."""
    before: list[int] = []
    row = list(range(len(two) + 1))
    for i, a in enumerate(one, 1):
        above, row = row, [i]
        for j, b in enumerate(two, 1):
            cost = min(row[-1] + 1, above[j] + 1, above[j - 1] + (a != b))
            if before and i > 1 and j > 1 and a == two[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before = above
    return row[-1]
