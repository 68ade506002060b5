"""``lading completion``: the scripts that make shells complete lading's command line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

from lading.cli.client import Client
from lading.cli.command import ANY, Command
from lading.cli.faults import Fault, Misuse
from lading.cli.flags import Arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_OFFER = "offer"  # the scripts' own word: what may stand in place of the last operand

_BASH = r"""# bash completion for lading: lading completion bash >/etc/bash_completion.d/lading

_lading() {
    local line=${COMP_LINE:0:COMP_POINT} current offer kept
    local -a words
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    current=${words[-1]}
    COMPREPLY=()
    while IFS= read -r offer; do
        if [[ $offer == :files ]]; then
            compopt -o filenames 2>/dev/null
            [[ $current == --*=* ]] && current=${current#*=}
            while IFS= read -r offer; do
                COMPREPLY+=("$offer")
            done < <(compgen -f -- "$current")
        else
            COMPREPLY+=("${offer%%$'\t'*}")
        fi
    done < <("${words[0]/#\~/$HOME}" completion offer -- "${words[@]:1}" 2>/dev/null)
    # bash breaks words at colons and equal signs: what stands before them is there already.
    kept=${current%"${current##*[:=]}"}
    [[ -n $kept ]] && COMPREPLY=("${COMPREPLY[@]#"$kept"}")
}

complete -F _lading lading
"""

_ZSH = r"""#compdef lading
# zsh completion for lading: lading completion zsh >"${fpath[1]}/_lading"

_lading() {
    local offer files=0
    local -a offers described
    offers=("${(@f)$("${words[1]/#\~/$HOME}" completion offer -- \
        "${(@)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)}")
    for offer in "${offers[@]}"; do
        if [[ $offer == :files ]]; then
            files=1
        elif [[ $offer == *$'\t'* ]]; then
            described+=("${${offer%%$'\t'*}//:/\\:}:${offer#*$'\t'}")
        elif [[ -n $offer ]]; then
            described+=("${offer//:/\\:}")
        fi
    done
    (( ${#described} )) && _describe 'lading' described
    if (( files )); then
        [[ $PREFIX == --*=* ]] && compset -P '*='
        _files
    fi
}

if [[ ${funcstack[1]} == _lading ]]; then
    _lading "$@"
else
    compdef _lading lading
fi
"""

_FISH = r"""# fish completion for lading:
# lading completion fish >~/.config/fish/completions/lading.fish

function __lading_offers
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for offer in (command $words[1] completion offer -- $words[2..-1] "$current" 2>/dev/null)
        if test "$offer" = :files
            __fish_complete_path (string replace -r -- '^--[^=]*=' '' "$current")
        else
            printf '%s\n' $offer
        end
    end
end

complete -c lading -f -a '(__lading_offers)'
"""

_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def run(arguments: Arguments, client: Client) -> int:
    """Print a script, or what its shell may offer."""
    first, *words = arguments.operands
    if first == _OFFER:
        from lading.cli.completing import host_of, offers

        # Not the given client: a daemon is not started for a press of a key.
        names = _Names(host_of(words[:-1]) or client.host)
        print("".join(f"{offer}\n" for offer in offers(words, names)), end="")
        return 0
    if first not in _SCRIPTS or words:
        raise Misuse(f"no such shell: {' '.join(arguments.operands)!r}: bash, zsh or fish", 1)
    print(_SCRIPTS[first], end="")
    return 0


class _Names:
    """The names of the engine's things; none where it does not answer."""

    def __init__(self, host: str) -> None:
        self._host = host

    def __call__(self, kind: str) -> Iterable[str]:
        try:
            return _LISTS[kind](Client(self._host)) if kind in _LISTS else ()
        except Fault:
            return ()


def _containers(found: Iterable[Mapping[str, Any]]) -> list[str]:
    return [name.removeprefix("/") for each in found for name in each.get("Names") or ()]


def _images(client: Client) -> list[str]:
    return [name for each in client.get("/images/json") for name in each.get("RepoTags") or ()]


_LISTS: Mapping[str, Callable[[Client], Iterable[str]]] = {
    "containers": lambda client: _containers(client.get("/containers/json", all=True)),
    "running": lambda client: _containers(client.get("/containers/json")),
    "images": _images,
    "volumes": lambda client: [v["Name"] for v in client.get("/volumes")["Volumes"] or ()],
    "networks": lambda client: [n["Name"] for n in client.get("/networks")],
    "variables": lambda client: os.environ,
}

COMMANDS = {
    "completion": Command(
        run,
        "bash|zsh|fish",
        example=(
            "lading completion bash >/etc/bash_completion.d/lading\n"
            'lading completion zsh >"${fpath[1]}/_lading"\n'
            "lading completion fish >~/.config/fish/completions/lading.fish"
        ),
        detail="The names of containers, images, volumes and networks are completed too.",
        operands=(1, ANY),
        complete="shells",
    )
}
