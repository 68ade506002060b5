"""Every instruction is a value with its words, or is refused with its line and a reason."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.build import parse as parse_module
from lading.build.dockerfile import Dockerfile, parse, parse_triggers
from lading.build.errors import InvalidDockerfile
from lading.build.instruction import Add, Command, Copy, InlineFile, Instruction, Run, RunMount
from lading.errors import Invalid


def dockerfile(text: str) -> Dockerfile:
    return parse(text.encode(), "Dockerfile")


def one(text: str) -> Instruction:
    """The instruction *text*, in a stage."""
    return dockerfile(f"FROM a\n{text}").stages[0].instructions[0]


def fields(text: str) -> dict[str, Any]:
    made = one(text)
    names = [name for kind in type(made).__mro__ for name in getattr(kind, "__slots__", ())]
    return {name: getattr(made, name) for name in names}


def refusal(text: str) -> str:
    with pytest.raises(InvalidDockerfile) as caught:
        dockerfile(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "image", "platform", "alias"),
    [
        ("FROM a", "a", "", ""),
        ("from a:1 as Build", "a:1", "", "build"),
        ("FROM --platform=$BUILDPLATFORM a AS b-1.x", "a", "$BUILDPLATFORM", "b-1.x"),
        ("FROM  a\tAS  b", "a", "", "b"),
        ("FROM ${x:-a}", "${x:-a}", "", ""),
    ],
)
def test_from(text: str, image: str, platform: str, alias: str) -> None:
    origin = dockerfile(text).stages[0].origin
    assert (origin.image, origin.platform, origin.alias) == (image, platform, alias)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("ARG a", {"pairs": (("a", None),)}),
        ("ARG a=", {"pairs": (("a", ""),)}),
        ('ARG a=1 b c="x y"', {"pairs": (("a", "1"), ("b", None), ("c", '"x y"'))}),
        ("ENV a=1", {"pairs": (("a", "1"),), "legacy": False}),
        ("ENV a=1 b='x y' c=x\\ y", {"pairs": (("a", "1"), ("b", "'x y'"), ("c", "x\\ y"))}),
        ("ENV a b c=d", {"pairs": (("a", "b c=d"),), "legacy": True}),
        ("ENV a=b=c", {"pairs": (("a", "b=c"),)}),
        ('LABEL "a b"="c d" e=f', {"pairs": (('"a b"', '"c d"'), ("e", "f"))}),
        ("LABEL a b", {"pairs": (("a", "b"),), "legacy": True}),
        ("MAINTAINER A. B. <a@b.c>", {"author": "A. B. <a@b.c>"}),
        ("WORKDIR /a b", {"path": "/a b"}),
        ("USER app:app", {"user": "app:app"}),
        ("STOPSIGNAL SIGTERM", {"signal": "SIGTERM"}),
        ("VOLUME /a /b", {"paths": ("/a", "/b")}),
        ('VOLUME ["/a b"]', {"paths": ("/a b",)}),
        ("VOLUME [/a]", {"paths": ("[/a]",)}),
        ("EXPOSE 80 443/tcp 1-3", {"ports": ("80", "443/tcp", "1-3")}),
        ("CMD a  b", {"command": Command(("a  b",), True)}),
        ('CMD ["a", "b c"]', {"command": Command(("a", "b c"), False)}),
        ("CMD ['a']", {"command": Command(("['a']",), True)}),
        ('CMD ["a", "b"', {"command": Command(('["a", "b"',), True)}),
        ('CMD ["a"] b', {"command": Command(('["a"] b',), True)}),
        ('CMD [ "a" ]', {"command": Command(("a",), False)}),
        ("CMD []", {"command": Command((), False)}),
        ("CMD", {"command": Command((), False)}),
        ('ENTRYPOINT ["/x", "$HOME"]', {"command": Command(("/x", "$HOME"), False)}),
        ("ENTRYPOINT exec x", {"command": Command(("exec x",), True)}),
        ('SHELL ["/bin/bash", "-c"]', {"words": ("/bin/bash", "-c")}),
        ("HEALTHCHECK NONE", {"test": ("NONE",)}),
        ("HEALTHCHECK none", {"test": ("NONE",)}),
        ("HEALTHCHECK CMD a b", {"test": ("CMD-SHELL", "a b"), "retries": 0}),
        ('healthcheck cmd ["a", "b"]', {"test": ("CMD", "a", "b")}),
        (
            "HEALTHCHECK --interval=5m --timeout=3s --start-period=1m30s "
            "--start-interval=500ms --retries=4 CMD a",
            {
                "interval": 300_000_000_000,
                "timeout": 3_000_000_000,
                "start_period": 90_000_000_000,
                "start_interval": 500_000_000,
                "retries": 4,
                "test": ("CMD-SHELL", "a"),
            },
        ),
        ("ONBUILD COPY . /app", {"trigger": "COPY . /app"}),
        ("ONBUILD  run  a", {"trigger": "run  a"}),
        ("ONBUILD RUN <<E\na\nE", {"trigger": "RUN <<E\na\nE"}),
    ],
)
def test_an_instruction_holds_its_words(text: str, values: dict[str, Any]) -> None:
    found = fields(text)
    assert {name: found[name] for name in values} == values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("COPY a b /c/", {"sources": ("a", "b"), "destination": "/c/", "source_from": ""}),
        ('COPY ["a b", "/c d"]', {"sources": ("a b",), "destination": "/c d"}),
        ("COPY --from=build /a /b", {"source_from": "build", "sources": ("/a",)}),
        (
            "COPY --chown=1:2 --chmod=755 --link --parents --exclude=*.md --exclude=x a /b",
            {
                "chown": "1:2",
                "chmod": "755",
                "link": True,
                "parents": True,
                "exclude": ("*.md", "x"),
            },
        ),
        ("COPY --link=false a b", {"link": False}),
        ("COPY --chown='a b' a b", {"chown": "a b"}),
        (
            "COPY <<a.txt x <<'b' /d/\n$v\na.txt\n$w\nb",
            {
                "sources": ("x",),
                "files": (InlineFile("a.txt", "$v\n", True), InlineFile("b", "$w\n", False)),
            },
        ),
        (
            "ADD --checksum=sha256:1 --keep-git-dir=true --unpack=false https://x/y /z",
            {"checksum": "sha256:1", "keep_git_dir": True, "unpack": False},
        ),
        ("ADD a.tar /", {"unpack": None, "keep_git_dir": False, "checksum": ""}),
    ],
)
def test_copy_and_add(text: str, values: dict[str, Any]) -> None:
    made = one(text)
    assert isinstance(made, Copy | Add)
    assert {name: getattr(made, name) for name in values} == values


@pytest.mark.parametrize(
    ("text", "command", "script"),
    [
        ("RUN a && b", Command(("a && b",), True), None),
        ('RUN ["a", "b"]', Command(("a", "b"), False), None),
        ("RUN a \\\n  b", Command(("a   b",), True), None),
        ("RUN <<E\na\nb\nE", Command(("a\nb\n",), True), None),
        ("RUN <<-E\n\ta\n\tE", Command(("a\n",), True), None),
        ("RUN <<E\nE", Command(("",), True), None),
        (
            "RUN <<E\n#!/usr/bin/env python3\nprint()\nE",
            Command(("/dev/pipes/E",), False),
            InlineFile("E", "#!/usr/bin/env python3\nprint()\n"),
        ),
        ("RUN cat <<E > /x\na\nE", Command(("cat <<E > /x\na\nE",), True), None),
        (
            "RUN cat <<-A - <<B\n\ta\n\tA\nb\nB",
            Command(("cat <<-A - <<B\n\ta\nA\nb\nB",), True),
            None,
        ),
        ("RUN --network=none a", Command(("a",), True), None),
        ("RUN -- --a", Command(("--a",), True), None),
    ],
)
def test_run(text: str, command: Command, script: InlineFile | None) -> None:
    made = one(text)
    assert isinstance(made, Run)
    assert (made.command, made.script) == (command, script)


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("target=/a", RunMount("bind", target="/a", read_only=True)),
        ("type=bind,dst=/a,rw", RunMount("bind", target="/a")),
        ("type=bind,from=b,src=/x,destination=y", RunMount("bind", "y", "/x", "b", read_only=True)),
        ("type=cache,target=/c", RunMount("cache", target="/c")),
        (
            "type=cache,target=/c,id=x,sharing=locked,mode=0755,uid=1,gid=2,ro",
            RunMount(
                "cache",
                "/c",
                id="x",
                sharing="locked",
                mode=0o755,
                uid=1,
                gid=2,
                read_only=True,
            ),
        ),
        ("type=tmpfs,target=/t,size=64m", RunMount("tmpfs", "/t", size=64 << 20)),
        ("type=tmpfs,target=/t,size=1.5GB", RunMount("tmpfs", "/t", size=3 << 29)),
        ("type=secret,id=k", RunMount("secret", "/run/secrets/k", id="k")),
        ("type=secret,target=/r/k", RunMount("secret", "/r/k", id="k")),
        ("type=secret,id=k,env=K", RunMount("secret", "", id="k", env="K")),
        ("type=secret,id=k,env=K,target=/k", RunMount("secret", "/k", id="k", env="K")),
        ("type=secret,id=k,required", RunMount("secret", "/run/secrets/k", id="k", required=True)),
        ("type=secret,source=k,required=false", RunMount("secret", "/run/secrets/k", id="k")),
        ("type=ssh", RunMount("ssh", id="default")),
        ("type=ssh,id=x,target=/s,mode=0600", RunMount("ssh", "/s", id="x", mode=0o600)),
        ('"target=/a,b",type=cache', RunMount("cache", "/a,b")),
    ],
)
def test_a_mount_is_read(text: str, mount: RunMount) -> None:
    made = one(f"RUN --mount='{text}' a")
    assert isinstance(made, Run)
    assert made.mounts == (mount,)
    assert made.mount_texts == (text,)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("FRM a", "1: unknown instruction: FRM (did you mean FROM?)"),
        ("FROM a\nRUNX b", "2: unknown instruction: RUNX (did you mean RUN?)"),
        ("FROM a\n\n\nzzzz", "4: unknown instruction: zzzz"),
        ("RUN a", "1: no build stage in current context: expected FROM"),
        ("ARG a\nENV a=b\nFROM a", "2: no build stage in current context"),
        ("ARG a", "1: dockerfile contains no stages to build: expected FROM"),
        ("FROM", "1: FROM requires either one or three arguments"),
        ("FROM a b", "1: FROM requires either one or three arguments"),
        ("FROM a IS b", "1: FROM requires either one or three arguments"),
        ("FROM a AS 1b", "1: invalid name for build stage: '1b', name can't start with a number"),
        ("FROM --platfrom=x a", "1: unknown flag: --platfrom (did you mean platform?)"),
        ("FROM --platform a", "1: missing a value on flag: platform"),
        ("FROM --platform=x --platform=y a", "1: duplicate flag specified: platform"),
        ("FROM a\nENV", "2: ENV requires at least one argument"),
        ("FROM a\nENV a", "2: ENV must have two arguments: expected name=value"),
        ("FROM a\nENV a=b c", "2: Syntax error - can't find = in 'c'. Must be of the form: name"),
        ("FROM a\nENV =b", "2: ENV names can not be blank"),
        ("FROM a\nENV --x a=b", "2: unknown flag: --x"),
        ("FROM a\nARG =b", "2: ARG names can not be blank"),
        ("FROM a\nARG", "2: ARG requires at least one argument"),
        ("FROM a\nRUN", "2: RUN requires at least one argument"),
        ("FROM a\nRUN []", "2: RUN requires at least one argument"),
        ("FROM a\nRUN [1]", "2: when using JSON array syntax, arrays must be comprised of strings"),
        ("FROM a\nCMD [[]]", "2: when using JSON array syntax"),
        ("FROM a\nRUN --network=bridge a", "2: --network 'bridge' is not known: expected one of"),
        ("FROM a\nRUN --mount=type=x a", "2: unsupported mount type 'x': expected bind, cache"),
        ("FROM a\nRUN --mount=type=cache a", "2: target is required in 'type=cache'"),
        ("FROM a\nRUN --mount=type=secret a", "2: one of id, source, target is required"),
        ("FROM a\nRUN --mount=target=/a,x=1 a", "2: unexpected key 'x' for mount type 'bind'"),
        (
            "FROM a\nRUN --mount=target=/a,bind-propagation=rbind a",
            "2: unexpected key 'bind-propagation'",
        ),
        ("FROM a\nRUN --mount=target=/a,size=1 a", "2: unexpected key 'size' for mount type"),
        ("FROM a\nRUN --mount=target a", "2: invalid field 'target' must be a key=value pair"),
        ("FROM a\nRUN --mount=type=cache,target=/a,mode=9 a", "2: invalid value 9 for mode"),
        ("FROM a\nRUN --mount=type=cache,target=/a,uid=x a", "2: invalid value x for uid"),
        ("FROM a\nRUN --mount=type=cache,target=/a,sharing=x a", "2: unsupported sharing value"),
        ("FROM a\nRUN --mount=type=tmpfs,target=/a,size=x a", "2: invalid value for size: x"),
        ("FROM a\nRUN --mount=from=$x,target=/a a", "variable expansion is not supported"),
        ("FROM a\nCOPY a", "2: COPY requires at least two arguments, but only one was provided."),
        ("FROM a\nCOPY", "2: COPY requires at least two arguments"),
        ("FROM a\nCOPY --from=$x a b", "2: '$x': variable expansion is not supported for --from"),
        ("FROM a\nCOPY --link=yes a b", "2: expecting boolean value for flag link (true or false)"),
        ("FROM a\nCOPY --chwon=1 a b", "2: unknown flag: --chwon (did you mean chown?)"),
        ("FROM a\nCOPY --checksum=x a b", "2: unknown flag: --checksum"),
        ("FROM a\nADD --from=x a b", "2: unknown flag: --from"),
        ("FROM a\nCOPY <<a <<b\n1\na\n2\nb", "2: COPY cannot accept a heredoc as a destination"),
        ("FROM a\nCOPY <<../x /d\n1\n../x", "2: heredoc '../x' cannot be the name of a file"),
        ("FROM a\nWORKDIR", "2: WORKDIR requires exactly one argument"),
        ("FROM a\nUSER", "2: USER requires exactly one argument"),
        ("FROM a\nVOLUME", "2: VOLUME requires at least one argument"),
        ('FROM a\nVOLUME [""]', "2: VOLUME specified can not be an empty string"),
        ("FROM a\nVOLUME []", "2: VOLUME requires at least one argument"),
        ("FROM a\nEXPOSE", "2: EXPOSE requires at least one argument"),
        ("FROM a\nSHELL bash -c", "2: SHELL requires the arguments to be in JSON form"),
        ("FROM a\nSHELL []", "2: SHELL requires the arguments to be in JSON form"),
        ("FROM a\nHEALTHCHECK", "2: HEALTHCHECK requires at least one argument: CMD or NONE"),
        ("FROM a\nHEALTHCHECK CMD", "2: Missing command after HEALTHCHECK CMD"),
        ("FROM a\nHEALTHCHECK NONE x", "2: HEALTHCHECK NONE takes no arguments"),
        ("FROM a\nHEALTHCHECK curl", "2: Unknown type 'curl' in HEALTHCHECK (try CMD)"),
        ("FROM a\nHEALTHCHECK --interval=x CMD a", "2: --interval 'x' is not a duration of 1ms"),
        ("FROM a\nHEALTHCHECK --interval=1ns CMD a", "2: --interval '1ns' is not a duration"),
        ("FROM a\nHEALTHCHECK --timeout=99999999h CMD a", "2: --timeout '99999999h' is not"),
        ("FROM a\nHEALTHCHECK --retries=-1 CMD a", "2: --retries '-1' is not a number of 0 or"),
        ("FROM a\nONBUILD", "2: ONBUILD requires at least one argument"),
        ("FROM a\nONBUILD ONBUILD RUN a", "2: Chaining ONBUILD via `ONBUILD ONBUILD`"),
        ("FROM a\nONBUILD FROM a", "2: FROM isn't allowed as an ONBUILD trigger"),
        ("FROM a\nONBUILD MAINTAINER a", "2: MAINTAINER isn't allowed as an ONBUILD trigger"),
        ("FROM a\nONBUILD RUNX a", "2: unknown instruction: RUNX (did you mean RUN?)"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_what_was_expected(text: str, why: str) -> None:
    message = refusal(text)
    assert message.startswith("Dockerfile:")
    assert why in message


def test_stages_are_numbered_and_global_arguments_stand_before_them() -> None:
    made = dockerfile("ARG a=1\nFROM x AS one\nRUN a\nFROM one\nARG b\nRUN c")
    assert [arg.pairs for arg in made.args] == [(("a", "1"),)]
    assert [(stage.index, stage.label) for stage in made.stages] == [(0, "one"), (1, "1")]
    assert [len(stage.instructions) for stage in made.stages] == [1, 2]
    assert made.stages[1].instructions[1].where.first == 6
    assert made.stages[1].instructions[1].text == "RUN c"


def test_triggers_of_an_image_are_parsed_as_instructions() -> None:
    made = parse_triggers(["COPY . /app", "RUN <<E\na\nE"], "base:1")
    assert [instruction.keyword for instruction in made] == ["COPY", "RUN"]
    with pytest.raises(InvalidDockerfile, match=r"base:1 \(ONBUILD\):1: unknown instruction"):
        parse_triggers(["NOPE a"], "base:1")
    for bad in ("FROM a", "ONBUILD RUN a", "RUN a\nRUN b", "RUN <<E", ""):
        with pytest.raises(InvalidDockerfile):
            parse_triggers([bad], "base:1")


KEYWORDS = sorted(parse_module._PARSERS)
ARGUMENTS = st.lists(
    st.one_of(
        st.text(max_size=10),
        st.sampled_from(
            ["--from=a", "--mount=type=cache", "--link", '["a"]', "[", "a=b", "CMD", "RUN", "<<E",
             "--", "--mount='", '"', "--interval=1s", "AS", "$x", "${", "[1]", "\\"]
        ),
    ),
    max_size=5,
)  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(KEYWORDS), ARGUMENTS), max_size=4))
def test_any_words_are_an_instruction_or_refused(lines: list[tuple[str, list[str]]]) -> None:
    text = "\n".join(["FROM a", *(f"{keyword} {' '.join(words)}" for keyword, words in lines)])
    try:
        parse(text.encode(errors="replace"))
    except Invalid as error:
        assert str(error).startswith("Dockerfile:")


@pytest.mark.parametrize(
    "line",
    [
        "RUN " + "[" * 60_000,
        "CMD " + '["a",' * 12_000,
        "RUN " + "--mount=target=/a " * 3_500 + "x",
        "RUN --mount=" + "target=/a," * 6_000 + "target=/b x",
        "COPY " + "a " * 32_000 + "/x",
        "ENV " + "a=b " * 16_000,
        'ENV a="' + "\\" * 60_000,
        "LABEL " + "'" * 60_000,
        "RUN --" + "'a" * 30_000,
        "EXPOSE " + "1-65535 " * 8_000,
        "HEALTHCHECK --interval=" + "9" * 60_000 + "s CMD a",
        "HEALTHCHECK --interval=" + "1" * 60_000 + " CMD a",
        "FROM a AS " + "b" * 60_000,
        "X" * 60_000,
    ],
)
def test_a_long_line_is_parsed_or_refused_in_time(line: str) -> None:
    start = time.perf_counter()
    try:
        dockerfile(f"FROM a\n{line}")
    except InvalidDockerfile as error:
        assert len(str(error)) < 600
    assert time.perf_counter() - start < 2
