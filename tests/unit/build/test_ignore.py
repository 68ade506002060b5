"""``.dockerignore`` decides as Docker does, and in a time that grows with its input alone."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.build.ignore import NO_MATCH, Ignore, InvalidIgnore
from lading.build.ignore_patterns import Pattern, _expression, _follower, compiled, is_regular
from lading.errors import Invalid

# (pattern, path, whether the path is left out), worked out from Docker's documented rules.
TABLE = [
    ("**", "file", True),
    ("**/", "file", True),
    ("**", "dir/file", True),
    ("**/**", "dir/file", True),
    ("dir/**", "dir/file", True),
    ("dir/**", "dir/dir2/file", True),
    ("dir/**", "dir", False),
    ("dir/**", "dirt/file", False),
    ("**/dir", "dir", True),
    ("**/dir", "dir/file", True),
    ("**/dir", "a/dir/file", True),
    ("**/dir", "adir", False),
    ("**/dir2/*", "dir/dir2/file", True),
    ("**/dir2/*", "dir/dir2", False),
    ("**/dir2/**", "dir/dir2/dir3/file", True),
    ("**file", "file", True),
    ("**file", "dir/file", True),
    ("**file", "dir/myfile", True),
    ("**/file", "dir/myfile", False),
    ("**/file*", "dir/dir/file.txt", True),
    ("**/file*txt", "dir/dir/file.txt", True),
    ("**/file*.txt*", "dir/dir/file.txt", True),
    ("**/**/*.txt", "dir/dir/file.txt", True),
    ("**/**/*.txt", "file.txt", True),
    ("**/**/*.txt2", "dir/dir/file.txt", False),
    ("**/*.txt", "file.txt", True),
    ("a**/*.txt", "a/file.txt", True),
    ("a**/*.txt", "a/dir/dir/file.txt", True),
    ("a/*.txt", "a/dir/file.txt", False),
    ("a/*.txt", "a/file.txt", True),
    ("a/*.txt**", "a/file.txt", True),
    ("a/*.txt**", "a/file.txt.d/x", True),
    ("a[b-d]e", "ae", False),
    ("a[b-d]e", "ace", True),
    ("a[b-d]e", "aae", False),
    ("a[^b-d]e", "aze", True),
    ("a[^b-d]e", "ace", False),
    (".*", ".foo", True),
    (".*", "foo", False),
    ("abc.def", "abcdef", False),
    ("abc.def", "abcZdef", False),
    ("abc?def", "abcZdef", True),
    ("abc?def", "abc/def", False),
    ("abc?def", "abcdef", False),
    ("**/foo/bar", "foo/bar", True),
    ("**/foo/bar", "dir/dir2/foo/bar", True),
    ("**/foo/bar", "dir/xfoo/bar", False),
    ("**/.foo", "bar.foo", False),
    ("a(b)c/def", "a(b)c/def", True),
    ("a(b)c/def", "a(b)c/xyz", False),
    ("a.|)$(}+{bc", "a.|)$(}+{bc", True),
    ("dist/*.whl", "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", True),
    ("a\\\\", "a\\", True),
    ("a\\*b", "a*b", True),
    ("a\\*b", "axb", False),
    ("*", "abc", True),
    ("*", "abc/def", True),
    ("*c", "abc", True),
    ("a*", "a", True),
    ("a*/b", "abc/b", True),
    ("a*/b", "a/c/b", False),
    ("a*b*c*d*e*/f", "axbxcxdxexxx/f", True),
    ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", False),
    ("a*b?c*x", "abxbbxdbxebxczzx", True),
    ("a*b?c*x", "abxbbxdbxebxczzy", False),
    ("ab[^c]", "abc", False),
    ("[\\]a]", "]", True),
    ("[\\-x]", "-", True),
    ("[\\-x]", "a", False),
    ("a?b", "a☺b", True),
    ("[a-ζ]*", "α", True),
    ("docs", "docs/README.md", True),
    ("docs/", "docs/README.md", True),
    ("/docs", "docs", True),
    ("./docs/../src/", "src/a.c", True),
    ("src//a.c", "src/a.c", True),
    ("  docs  ", "docs", True),
    (".", "anything", False),
    ("/", "anything", False),
    ("../../x", "x", False),
    ("# docs", "docs", False),
    ("*/temp*", "a/temporary", True),
    ("*/temp*", "temporary", False),
    ("*/*/temp*", "a/b/temp", True),
    ("temp?", "tempa", True),
    ("temp?", "temp", False),
    ("a**b", "a/x/b", True),
    ("a**b", "a/b", True),
    ("a**b", "ab", True),
    ("a**b", "axb", False),
    ("**/a**b", "a/ab", True),
    ("x/**/y", "x/y", True),
    ("x/**/y", "x/1/2/y", True),
    ("x/**/y", "xy", False),
]


@pytest.mark.parametrize(("pattern", "path", "left_out"), TABLE)
def test_one_pattern_leaves_out_what_docker_leaves_out(
    pattern: str, path: str, left_out: bool
) -> None:
    assert Ignore.parse(pattern.encode()).excludes(path) is left_out


@pytest.mark.parametrize(
    ("patterns", "path", "left_out"),
    [
        (["docs", "!docs/README.md"], "docs/README.md", False),
        (["docs", "!docs/README.md"], "docs/other.md", True),
        (["docs/*", "!docs/README.md"], "docs/README.md", False),
        (["!fileutils.go", "*.go"], "fileutils.go", True),
        (["*.go", "!fileutils.go"], "fileutils.go", False),
        (["**", "!util/docker/web"], "util/docker/web/foo", False),
        (["**", "!util/docker/web", "util/docker/web/foo"], "util/docker/web/foo", True),
        (["*.md", "!README*.md", "README-secret.md"], "README-secret.md", True),
        (["*.md", "!README*.md", "README-secret.md"], "README-more.md", False),
        (["*.md", "README-secret.md", "!README*.md"], "README-secret.md", False),
        (["!only"], "only", False),
        (["!only"], "other", False),
        (["*", "! kept"], "kept", False),
        (["a", "!a/b", "a/b/c"], "a/b/c/d", True),
        (["a", "!a/b", "a/b/c"], "a/b/x", False),
        (["**/node_modules", "!**/node_modules/kept"], "x/node_modules/kept/a", False),
    ],
)
def test_the_last_pattern_that_matches_wins(patterns: list[str], path: str, left_out: bool) -> None:
    assert Ignore.of(patterns).excludes(path) is left_out


@pytest.mark.parametrize(
    "pattern",
    ["!", "[", "[^", "[^bc", "a[", "[]a]", "[-]", "[x-]", "[-x]", "\\", "[a-b-c]", "! "],
)
def test_a_pattern_that_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidIgnore):
        Ignore.of(["fine", pattern])


def test_a_file_has_comments_blank_lines_a_mark_and_other_line_ends() -> None:
    ignore = Ignore.parse(b"\xef\xbb\xbf# comment\r\n\r\n*.log\r\n  !kept.log  \r\n")
    assert ignore.excludes("a.log")
    assert not ignore.excludes("kept.log")
    assert not ignore.excludes("# comment")
    assert ignore.has_exceptions


def test_a_walk_hands_each_directory_s_match_to_its_entries() -> None:
    ignore = Ignore.of(["a", "!a/b", "*.log"])
    a = ignore.match("a", NO_MATCH)
    assert ignore.excluded(a)
    assert not ignore.excluded(ignore.match("a/b", a))
    assert ignore.excluded(ignore.match("a/c", a))
    assert not ignore.excluded(ignore.match("b", NO_MATCH))


@pytest.mark.parametrize(
    ("patterns", "directory", "skipped"),
    [
        (["node_modules"], "node_modules", True),
        (["node_modules", "!src"], "node_modules", True),
        (["a", "!a/b/c"], "a", False),
        (["a", "!a/b/c"], "a/b", False),
        (["a", "!a/b/c"], "a/x", True),
        (["a", "!**/kept"], "a/x", False),
        (["a", "!a/*.md"], "a/x", False),
        (["a", "!b/*.md"], "a/x", True),
        (["a", "!a/b", "!a"], "a", False),
        (["kept"], "other", False),
    ],
)
def test_a_directory_is_skipped_only_where_nothing_in_it_is_kept(
    patterns: list[str], directory: str, skipped: bool
) -> None:
    ignore = Ignore.of(patterns)
    match, at = NO_MATCH, 0
    while at >= 0:
        at = directory.find("/", at + 1)
        match = ignore.match(directory if at < 0 else directory[:at], match)
    assert ignore.prunes(directory, match) is skipped


PIECES = st.lists(
    st.sampled_from(["a", "b", "/", "*", "**", "?", "**/", "[ab]", "x.y"]), max_size=8
)
PATHS = st.lists(st.sampled_from(["a", "b", "ab", "ba", "x.y", "c"]), min_size=1, max_size=4)


def regexp(tokens: tuple[tuple[str, str], ...]) -> str:
    """The plain, slow expression that Docker's own matcher would build."""
    known = {"tree": "(?:.*/)?", "rest": ".*", "star": "[^/]*"}
    return "".join(
        known.get(what, re.escape(value) if what == "char" else value) for what, value in tokens
    )


@given(PIECES, PATHS)
def test_every_way_to_match_agrees_with_the_plain_expression(
    pieces: list[str], names: list[str]
) -> None:
    path = "/".join(names)
    tokens = Pattern.parse("".join(pieces)).tokens
    plain = re.fullmatch(regexp(tokens), path, re.DOTALL) is not None
    assert _follower(tokens)(path) is plain
    if is_regular(tokens):
        assert (re.compile(_expression(tokens), re.DOTALL).match(path) is not None) is plain


@given(st.lists(st.text(max_size=12), max_size=6), st.text(min_size=1, max_size=12))
def test_any_text_is_patterns_or_refused(patterns: list[str], path: str) -> None:
    try:
        Ignore.of(patterns).excludes(path)
    except Invalid:
        pass


@pytest.mark.parametrize(
    "pattern",
    ["a*" * 50 + "b", "**/" * 50 + "b", "**/a*" * 30 + "b", "a**" * 20 + "b", "*?" * 60 + "b"],
)
def test_no_pattern_goes_back(pattern: str) -> None:
    matches = compiled([Pattern.parse(pattern)])
    start = time.perf_counter()
    for path in ("a" * 255, "a/" * 120 + "c", "a" * 4000):
        assert not matches(path)
    assert time.perf_counter() - start < 1


def test_a_hundred_thousand_patterns_cost_one_look_each() -> None:
    patterns = [f"dir{n}/file" for n in range(60_000)] + [f"!**/kept{n}" for n in range(40_000)]
    start = time.perf_counter()
    ignore = Ignore.of(patterns)
    for number in range(1000):
        assert ignore.excludes(f"dir{number}/file")
    assert not ignore.excludes("dir1/file/kept7")
    assert time.perf_counter() - start < 10


def test_wildcards_without_number_are_refused() -> None:
    with pytest.raises(InvalidIgnore, match="wildcards"):
        Ignore.of(f"a*{n}" for n in range(20_000))
