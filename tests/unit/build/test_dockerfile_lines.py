"""Lines become statements: continuations, comments, heredocs, directives, and the limits."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.build.errors import InvalidDockerfile
from lading.build.lines import Heredoc, read


def texts(dockerfile: str) -> list[str]:
    return [statement.text for statement in read(dockerfile.encode(), "Dockerfile")[1]]


def heredocs(dockerfile: str) -> list[tuple[Heredoc, ...]]:
    return [statement.heredocs for statement in read(dockerfile.encode(), "Dockerfile")[1]]


def refusal(dockerfile: str | bytes, file: str = "Dockerfile") -> str:
    raw = dockerfile.encode() if isinstance(dockerfile, str) else dockerfile
    with pytest.raises(InvalidDockerfile) as caught:
        read(raw, file)
    return str(caught.value)


@pytest.mark.parametrize(
    ("dockerfile", "statements"),
    [
        ("FROM a", ["FROM a"]),
        ("FROM a\nRUN b\n", ["FROM a", "RUN b"]),
        ("\n\n  FROM a  \n", ["FROM a"]),
        ("FROM a\r\nRUN b \\\r\n c\r\n", ["FROM a", "RUN b  c"]),
        ("# c\nFROM a\n  # d\nRUN b", ["FROM a", "RUN b"]),
        ("RUN a \\\n b", ["RUN a  b"]),
        ("RUN a\\\nb", ["RUN ab"]),
        ("RUN a \\   \n b", ["RUN a  b"]),
        ("RUN a \\\n# c\n b", ["RUN a  b"]),
        ("RUN a \\\n  # c\\\n b", ["RUN a  b"]),
        ("RUN a # not a comment", ["RUN a # not a comment"]),
        ("RUN a \\\n\n b", ["RUN a  b"]),
        ("RUN a \\\n\nRUN b", ["RUN a RUN b"]),
        ("RUN a \\", ["RUN a"]),
        ("RUN a \\\\\nRUN b", ["RUN a \\\\", "RUN b"]),
        ("# escape=`\nRUN a `\n b\\\nRUN c", ["RUN a  b\\", "RUN c"]),
        ("\ufeffFROM a", ["FROM a"]),
        ("FROM a\nRUN \\\n", ["FROM a", "RUN"]),
        ("FROM a\nRUN é \x85 x", ["FROM a", "RUN é \x85 x"]),
    ],
)
def test_lines_become_statements(dockerfile: str, statements: list[str]) -> None:
    assert texts(dockerfile) == statements


def test_a_statement_knows_its_lines_and_an_empty_continuation() -> None:
    _, statements = read(b"# x\nFROM a\n\nRUN b \\\n\n c\nRUN <<E\nx\nE\n", "D")
    spans = [(s.where.first, s.where.last, s.blank) for s in statements]
    assert spans == [(2, 2, 0), (4, 6, 5), (7, 9, 0)]
    assert str(statements[1].where) == "D:4"


def test_bytes_that_are_no_text_are_fine_in_a_comment() -> None:
    _, statements = read(b"# t\xe9l\xe9\nFROM a\n", "Dockerfile")
    assert statements[0].text == "FROM a"


@pytest.mark.parametrize(
    ("dockerfile", "found"),
    [
        ("RUN <<EOF\na\n  b\nEOF\n", [Heredoc("EOF", True, False, "a\n  b\n")]),
        ("RUN <<EOF\r\na\r\nEOF\r\n", [Heredoc("EOF", True, False, "a\n")]),
        ("RUN <<'EOF'\n$a\nEOF", [Heredoc("EOF", False, False, "$a\n")]),
        ('RUN <<"E O"\na\nE O', [Heredoc("E O", False, False, "a\n")]),
        ("RUN <<\\EOF\na\nEOF", [Heredoc("EOF", False, False, "a\n")]),
        ("RUN <<-EOF\n\ta\n\t\tEOF", [Heredoc("EOF", True, True, "\ta\n")]),
        ("RUN 3<<EOF\na\nEOF", [Heredoc("EOF", True, False, "a\n")]),
        ("RUN cat <<EOF > /x\na\nEOF", [Heredoc("EOF", True, False, "a\n")]),
        (
            "COPY <<a <<b /d/\n1\na\n2\nb",
            [Heredoc("a", True, False, "1\n"), Heredoc("b", True, False, "2\n")],
        ),
        ("RUN <<EOF\nEOF", [Heredoc("EOF", True, False, "")]),
        ("RUN <<EOF\n# kept \\\n\nEOF", [Heredoc("EOF", True, False, "# kept \\\n\n")]),
        ("ONBUILD RUN <<EOF\na\nEOF", [Heredoc("EOF", True, False, "a\n")]),
        ("copy --chown=1:1 <<f /f\nx\nf", [Heredoc("f", True, False, "x\n")]),
        ("RUN a <<< b", []),
        ("RUN echo $((1<<3))", []),
        ("RUN echo '<<EOF'", []),
        ("RUN a << b", []),
        ("RUN cat<<EOF", []),
        ('RUN ["a", "<<EOF"]', []),
        ("ENV a=<<EOF", []),
        ("CMD <<EOF", []),
    ],
)
def test_heredocs_are_taken(dockerfile: str, found: list[Heredoc]) -> None:
    assert heredocs(dockerfile) == [tuple(found)]


def test_a_heredoc_ends_and_the_next_statement_begins() -> None:
    assert texts("RUN <<A <<B\n1\nA\n2\nB\nRUN c") == ["RUN <<A <<B", "RUN c"]


def test_tabs_go_where_the_heredoc_asks_for_that() -> None:
    ((heredoc,),) = heredocs("RUN <<-E\n\ta\n\t\tb\n c\tx\nE")
    assert heredoc.content == "a\nb\n c\tx\n"


def test_a_heredoc_without_end_is_refused_with_both_lines() -> None:
    assert refusal("FROM a\nRUN <<EOF\nb\n EOF\n") == (
        "Dockerfile:2: unterminated heredoc: expected a line EOF after its text"
    )


@pytest.mark.parametrize(
    ("dockerfile", "syntax", "escape"),
    [
        ("# syntax=docker/dockerfile:1\nFROM a", "docker/dockerfile:1", "\\"),
        ("#escape=`\nFROM a", "", "`"),
        ("# Escape = `\n# SYNTAX = x y\nFROM a", "x y", "`"),
        ("# about\n# escape=`\nFROM a", "", "\\"),
        ("# unknown=1\n# escape=`\nFROM a", "", "\\"),
        ("\n# escape=`\nFROM a", "", "\\"),
        ("FROM a\n# escape=`", "", "\\"),
        ("\ufeff# escape=`\r\nFROM a", "", "`"),
    ],
)
def test_directives_stand_at_the_very_beginning(dockerfile: str, syntax: str, escape: str) -> None:
    directives, _ = read(dockerfile.encode(), "Dockerfile")
    assert (directives.syntax, directives.escape) == (syntax, escape)


def test_the_check_directive_names_rules_and_whether_they_fail() -> None:
    directives, _ = read(b"# check=skip=A, B;error=true\nFROM a", "Dockerfile")
    assert directives.check.skip == {"A", "B"}
    assert directives.check.error
    directives, _ = read(b"# check=skip=all\nFROM a", "Dockerfile")
    assert directives.check.skip == {"all"}
    assert not directives.check.error


@pytest.mark.parametrize(
    ("dockerfile", "why"),
    [
        ("# escape=x\nFROM a", "1: invalid escape token 'x' does not match ` or \\"),
        ("# escape=`\n# escape=`\nFROM a", "2: only one escape parser directive can be used"),
        ("# check=skp=A\nFROM a", "1: invalid check option 'skp=A': expected skip="),
        ("# check=skp=A\nFROM a", "(did you mean skip?)"),
        ("# check=error=maybe\nFROM a", "1: invalid check option 'error=maybe'"),
        ("", "1: file with no instructions"),
        ("# only\n\n", "3: file with no instructions"),
        ("FROM a\nRUN \0", "2: holds a NUL character: expected text in UTF-8"),
        ("FROM a\nRUN " + "x" * 65536, "2: dockerfile line greater than max allowed size of 65535"),
    ],
)
def test_a_file_that_cannot_be_read_says_where_and_why(dockerfile: str, why: str) -> None:
    assert f"sub/Dockerfile:{why}"[-len(why) :] in refusal(dockerfile, "sub/Dockerfile")
    assert refusal(dockerfile, "sub/Dockerfile").startswith("sub/Dockerfile:")


@pytest.mark.parametrize(
    "dockerfile",
    [
        b"\\\n" * 1_000_000,
        b"RUN a " + b"\\\n" * 200_000 + b"b",
        b"RUN a \\\n" + b"# c\n" * 200_000 + b"b",
        b"RUN a \\\n" + b"\n" * 200_000,
        b"RUN " + b"x" * 10_000_000,
        b"x" * 10_000_000,
        b"RUN <<EOF\n" + b"EO\n" * 200_000,
        b"RUN " + b"<<E " * 15_000 + b"\nE" * 15_000,
        b"RUN a " + b"\\" * 60_000 + b"\nRUN b",
        b"FROM a\n" * 60_000,
        b"\xff\xfeF\0R\0O\0M\0",
    ],
    ids=range(11),
)
def test_a_bomb_is_read_or_refused_in_time(dockerfile: bytes) -> None:
    start = time.perf_counter()
    try:
        read(dockerfile, "Dockerfile")
    except InvalidDockerfile as error:
        assert len(str(error)) < 300
    assert time.perf_counter() - start < 10


LINES = st.lists(
    st.one_of(
        st.text(max_size=20),
        st.sampled_from(
            [
                "FROM a",
                "RUN a \\",
                "RUN <<E",
                "E",
                "# escape=`",
                "#",
                "",
                "COPY <<-'E' /x",
                "\tE",
                "`",
            ]
        ),
    ),
    max_size=8,
)


@given(LINES, st.sampled_from(["\n", "\r\n"]))
def test_any_lines_are_read_or_refused(lines: list[str], end: str) -> None:
    try:
        _, statements = read(end.join(lines).encode(errors="replace"), "Dockerfile")
    except InvalidDockerfile:
        return
    firsts = [statement.where.first for statement in statements]
    assert firsts == sorted(set(firsts))
    assert all(statement.text for statement in statements)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        read(raw, "Dockerfile")
    except InvalidDockerfile:
        pass
