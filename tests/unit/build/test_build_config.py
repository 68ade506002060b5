"""What an instruction leaves in an image: its config, and its line in the history."""

from __future__ import annotations

from typing import Any

import pytest

from lading.build.configure import apply, shell_of, start_stage
from lading.build.dockerfile import parse
from lading.build.expand import expand
from lading.build.history import created_by, makes_layer
from lading.build.instruction import Instruction
from lading.build.scope import Scope
from lading.image.changes import apply_changes


def meant(text: str) -> Instruction:
    return expand(parse(f"FROM a\n{text}".encode()).stages[0].instructions[0], Scope())


BASE: dict[str, Any] = {
    "Env": ["PATH=/bin", "A=1"],
    "Cmd": ["base"],
    "WorkingDir": "/w",
    "Labels": {"l": "1"},
    "ExposedPorts": {"1/tcp": {}},
    "Volumes": {"/v": {}},
    "Shell": ["/bin/ash", "-c"],
    "OnBuild": ["RUN x"],
}


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("ENV A=2 B=3", {"Env": ["PATH=/bin", "A=2", "B=3"]}),
        ("LABEL l=2 m=3", {"Labels": {"l": "2", "m": "3"}}),
        ("CMD a b", {"Cmd": ["/bin/ash", "-c", "a b"]}),
        ('CMD ["a", "b"]', {"Cmd": ["a", "b"]}),
        ("CMD []", {"Cmd": []}),
        ('ENTRYPOINT ["e"]', {"Entrypoint": ["e"], "Cmd": None}),
        ("ENTRYPOINT e", {"Entrypoint": ["/bin/ash", "-c", "e"], "Cmd": None}),
        ("ENTRYPOINT []", {"Entrypoint": None, "Cmd": None}),
        ("EXPOSE 80 81/udp", {"ExposedPorts": {"1/tcp": {}, "80/tcp": {}, "81/udp": {}}}),
        ("VOLUME /x", {"Volumes": {"/v": {}, "/x": {}}}),
        ("WORKDIR x/../y/", {"WorkingDir": "/w/y"}),
        ("WORKDIR /x", {"WorkingDir": "/x"}),
        ("USER 1:2", {"User": "1:2"}),
        ("STOPSIGNAL 9", {"StopSignal": "9"}),
        ('SHELL ["/bin/bash", "-ec"]', {"Shell": ["/bin/bash", "-ec"]}),
        ("ONBUILD RUN y", {"OnBuild": ["RUN x", "RUN y"]}),
        ("HEALTHCHECK NONE", {"Healthcheck": {"Test": ["NONE"]}}),
        (
            "HEALTHCHECK --interval=1m --retries=3 CMD x",
            {
                "Healthcheck": {
                    "Test": ["CMD-SHELL", "x"],
                    "Interval": 60_000_000_000,
                    "Retries": 3,
                }
            },
        ),
        ("RUN x", {}),
        ("COPY a b", {}),
        ("ARG a=1", {}),
        ("MAINTAINER me", {}),
    ],
)
def test_an_instruction_changes_its_own_fields(text: str, changed: dict[str, Any]) -> None:
    before = {key: repr(value) for key, value in BASE.items()}
    assert apply(BASE, meant(text)) == {**BASE, **changed}
    assert {key: repr(value) for key, value in BASE.items()} == before


def test_an_entry_point_keeps_the_command_of_its_own_stage() -> None:
    assert apply(BASE, meant('ENTRYPOINT ["e"]'), has_command=True)["Cmd"] == ["base"]


def test_a_stage_starts_without_its_base_s_triggers_and_has_a_shell() -> None:
    assert "OnBuild" not in start_stage(BASE)
    assert shell_of(BASE) == ("/bin/ash", "-c")
    assert shell_of({}) == ("/bin/sh", "-c")


@pytest.mark.parametrize(
    "text",
    [
        "ENV A=2 B='x y'",
        "LABEL l=2",
        "CMD a b",
        'ENTRYPOINT ["e"]',
        "EXPOSE 80-82/udp",
        "VOLUME /x",
        "WORKDIR x",
        "USER u",
        "STOPSIGNAL SIGINT",
        "ONBUILD RUN y",
        "HEALTHCHECK --timeout=2s CMD x",
        'SHELL ["/bin/bash", "-c"]',
    ],
)
def test_change_on_the_command_line_does_what_the_dockerfile_does(text: str) -> None:
    assert apply_changes(BASE, [text]) == apply(BASE, meant(text))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("RUN a  b", "RUN /bin/sh -c a  b # buildkit"),
        ('RUN ["a", "b"]', "RUN a b # buildkit"),
        ("COPY --chown=1:2 a b /c/", "COPY --chown=1:2 a b /c/ # buildkit"),
        ("COPY --from=x --link a /b", "COPY --link a /b # buildkit"),
        ("ADD https://x/y /z", "ADD https://x/y /z # buildkit"),
        ("COPY <<f /g\nx\nf", "COPY <<f /g # buildkit"),
        ("ENV a=1 b='x y'", "ENV a=1 b=x y"),
        ("LABEL a=1", "LABEL a=1"),
        ("CMD x y", 'CMD ["/bin/sh" "-c" "x y"]'),
        ('ENTRYPOINT ["a\\"b"]', 'ENTRYPOINT ["a\\"b"]'),
        ("EXPOSE 80 90/udp", "EXPOSE [80/tcp 90/udp]"),
        ("VOLUME /a /b", "VOLUME [/a /b]"),
        ("WORKDIR /a", "WORKDIR /a"),
        ("USER u", "USER u"),
        ("STOPSIGNAL 9", "STOPSIGNAL 9"),
        ('SHELL ["/bin/bash", "-c"]', "SHELL [/bin/bash -c]"),
        ("ARG a=1 b", "ARG a=1 b"),
        ("MAINTAINER A B", "MAINTAINER A B"),
        ("ONBUILD RUN a", "ONBUILD RUN a"),
        (
            "HEALTHCHECK --interval=90s --timeout=1.5s --start-interval=200ms --retries=3 CMD x",
            'HEALTHCHECK &{["CMD-SHELL" "x"] "1m30s" "1.5s" "0s" "200ms" \'\\x03\'}',
        ),
    ],
)
def test_the_history_reads_as_docker_s(text: str, line: str) -> None:
    assert created_by(meant(text)) == line


def test_a_run_names_the_arguments_and_the_shell_it_had() -> None:
    bash = ("/bin/bash", "-c")
    line = created_by(meant("RUN x"), shell=bash, args=("a=1", "b=2"))
    assert line == "RUN |2 a=1 b=2 /bin/bash -c x # buildkit"


def test_four_instructions_make_layers() -> None:
    texts = ["RUN a", "COPY a b", "ADD a b", "WORKDIR /a", "ENV a=b", "CMD a", "VOLUME /a"]
    assert [makes_layer(meant(text)) for text in texts] == [True] * 4 + [False] * 3
