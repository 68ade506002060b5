"""Words expand as Docker's lexer has them: every modifier, quote and escape, within limits."""

from __future__ import annotations

import fnmatch
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.image.words import InvalidWord, expand, expansion, split

VARIABLES = {
    "x": "abcabc",
    "empty": "",
    "path": "/usr/lib/foo.tar.gz",
    "words": "one two  three",
    "ümlaut": "ü",
    "x1": "first",
    "star": "a*b",
    "lines": "a\nb",
}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$x", "abcabc"),
        ("${x}", "abcabc"),
        ("$x1", "first"),
        ("${x}1", "abcabc1"),
        ("$ümlaut", "ü"),
        ("$gone", ""),
        ("a${gone}b", "ab"),
        ("$", "$"),
        ("$ x", "$ x"),
        ("a$", "a$"),
        ("$/x", "$/x"),
        ("$$x", "x"),
        ("$10x", "x"),
        ("${gone:-word}", "word"),
        ("${gone-word}", "word"),
        ("${empty:-word}", "word"),
        ("${empty-word}", ""),
        ("${x:-word}", "abcabc"),
        ("${x-word}", "abcabc"),
        ("${gone:+word}", ""),
        ("${gone+word}", ""),
        ("${empty:+word}", ""),
        ("${empty+word}", "word"),
        ("${x:+word}", "word"),
        ("${x+word}", "word"),
        ("${x:?}", "abcabc"),
        ("${x?no}", "abcabc"),
        ("${empty?no}", ""),
        ("${gone:-${gone:-${x}}}", "abcabc"),
        ("${gone:-$x}", "abcabc"),
        ("${gone:-'a b'}", "a b"),
        ('${gone:-"}"}', "}"),
        ("${gone:-\\}}", "}"),
        ("${gone:-}", ""),
        ("${path#*/}", "usr/lib/foo.tar.gz"),
        ("${path##*/}", "foo.tar.gz"),
        ("${path%.*}", "/usr/lib/foo.tar"),
        ("${path%%.*}", "/usr/lib/foo"),
        ("${path#/usr}", "/lib/foo.tar.gz"),
        ("${path#usr}", "/usr/lib/foo.tar.gz"),
        ("${path%gz}", "/usr/lib/foo.tar."),
        ("${path%*}", "/usr/lib/foo.tar.gz"),
        ("${path%%*}", ""),
        ("${path#?}", "usr/lib/foo.tar.gz"),
        ("${x#a*c}", "abc"),
        ("${x##a*c}", ""),
        ("${x%a*c}", "abc"),
        ("${x%%a*c}", ""),
        ("${x%%b*}", "a"),
        ("${x#$x}", ""),
        ("${star#a\\*}", "b"),
        ("${star#a?}", "b"),
        ("${star#b\\*}", "a*b"),
        ("${gone#a}", ""),
        ("${lines#a?}", "b"),
        ("${x/b/X}", "aXcabc"),
        ("${x//b/X}", "aXcaXc"),
        ("${x/b/}", "acabc"),
        ("${x//b/}", "acac"),
        ("${x/b*/X}", "aX"),
        ("${x//a?/X}", "XcXc"),
        ("${x/z/X}", "abcabc"),
        ("${x//z*z/X}", "abcabc"),
        ("${x//b/$x1}", "afirstcafirstc"),
        ("${path//\\//_}", "_usr_lib_foo.tar.gz"),
        ("${path/\\/usr/\\/opt}", "/opt/lib/foo.tar.gz"),
        ("${x/b/\\}}", "a}cabc"),
        ('"$x"', "abcabc"),
        ("'$x'", "$x"),
        ("\"a 'b' c\"", "a 'b' c"),
        ("'a \"b\" c'", 'a "b" c'),
        ('"\\$x"', "$x"),
        ('"\\"x\\""', '"x"'),
        ('"a\\b"', "a\\b"),
        ('"a\\\\b"', "a\\b"),
        ("\\$x", "$x"),
        ("a\\ b", "a b"),
        ("\\\\", "\\"),
        ("a\\", "a"),
        ("\\'", "'"),
        ("  keep  blanks ", "  keep  blanks "),
        ("", ""),
    ],
)
def test_a_word_is_expanded(text: str, result: str) -> None:
    assert expand(text, VARIABLES) == result


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("${", "missing '}'"),
        ("${x", "missing '}'"),
        ("${x:-a", "missing '}'"),
        ("${x#a", "missing '}'"),
        ("${x/a/b", "missing '}'"),
        ("${x/a}", "missing '/' in ${}"),
        ("${}", "bad substitution"),
        ("${:-a}", "bad substitution"),
        ("${{x}}", "bad substitution"),
        ("${x!y}", "unsupported modifier (!)"),
        ("${x:=y}", "unsupported modifier (:=)"),
        ("${x^}", "unsupported modifier (^)"),
        ("${gone:?}", "gone: is not allowed to be unset"),
        ("${gone?}", "gone: is not allowed to be unset"),
        ("${empty:?}", "empty: is not allowed to be empty"),
        ("${gone:?set it}", "gone: set it"),
        ("${x#\\q}", "invalid escape '\\q'"),
        ('"a', "looking for matching double-quote"),
        ("'a", "looking for matching single-quote"),
    ],
)
def test_a_word_that_cannot_be_expanded_says_why(text: str, why: str) -> None:
    with pytest.raises(InvalidWord) as caught:
        expand(text, VARIABLES)
    assert why in str(caught.value)
    assert text.replace("\\", "\\\\").replace('"', '\\"') in str(caught.value)


def test_another_escape_takes_the_backslash_s_place() -> None:
    assert expand("C:\\dir\\`$x", VARIABLES, escape="`") == "C:\\dir\\$x"
    assert expand('"`"`$x"', VARIABLES, escape="`") == '"$x'
    assert split("a` b c\\ d", escape="`") == ["a` b", "c\\", "d"]


def test_without_quotes_they_are_text() -> None:
    assert expand("\"$x\" 'y' \\$x", VARIABLES, quotes=False) == "\"abcabc\" 'y' $x"


def test_words_split_after_the_variables_are_in_and_quotes_keep_them_whole() -> None:
    assert expansion("$words", VARIABLES).words == ("one", "two", "three")
    assert expansion("a${words}b", VARIABLES).words == ("aone", "two", "threeb")
    assert expansion('"$words" x', VARIABLES).words == ("one two  three", "x")
    assert expansion("a\\ b c", VARIABLES).words == ("a b", "c")


def test_what_is_not_set_is_told_unless_the_text_has_a_word_for_it() -> None:
    assert expansion("$a ${b} ${c:-x} ${d+x} ${e%x}", {}).missing == ("a", "b", "e")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b", ["a", "b"]),
        ('a="b c" d', ['a="b c"', "d"]),
        ("a='b c'", ["a='b c'"]),
        ("a\\ b c", ["a\\ b", "c"]),
        ('a="b \\" c"', ['a="b \\" c"']),
        ("  a\t\tb  ", ["a", "b"]),
        ("a\\", ["a"]),
        ("a\\\\", ["a\\\\"]),
        ('""', ['""']),
        ('"open a b', ['"open a b']),
        ("", []),
        ("\\", []),
    ],
)
def test_text_is_split_where_blanks_are_not_quoted(text: str, words: list[str]) -> None:
    assert split(text) == words


@pytest.mark.parametrize(
    "text",
    [
        "${A:-" * 10_000 + "}" * 10_000,
        "${x:-${x:-" * 100,
        "$x" * 400_000,
        "${x//?/$x}" * 5_000,
        "${long#" + "?" * 20_000 + "z}",
        "${long%%" + "*a" * 10_000 + "z}",
        "${long//" + "*a" * 1_000 + "/y}",
        "\\" * 400_000,
        "'" * 400_001,
        '"$' * 100_000,
    ],
)
def test_a_bomb_ends_in_time_and_in_little_room(text: str) -> None:
    start = time.perf_counter()
    try:
        result = expand(text, {"x": "y" * 1000, "long": "a" * 60_000})
        assert len(result) <= 1 << 20
    except InvalidWord as error:
        assert len(str(error)) < 600
    assert time.perf_counter() - start < 2


SHELLISH = st.text(st.sampled_from(list("ab $${}{}:-+?#%/*\\'\"`\n")), max_size=40)


@given(SHELLISH, st.sampled_from("\\`"), st.booleans())
def test_any_text_expands_or_is_refused(text: str, escape: str, quotes: bool) -> None:
    split(text, escape=escape)
    try:
        read = expansion(text, {"a": "b*a/b", "b": ""}, escape=escape, quotes=quotes)
    except InvalidWord:
        return
    assert "".join("".join(read.words).split()) == "".join(read.text.split())


@given(
    st.text(st.sampled_from(list("ab*")), max_size=8), st.text(st.sampled_from("ab"), max_size=8)
)
def test_prefixes_and_suffixes_are_the_shortest_and_the_longest(pattern: str, value: str) -> None:
    cuts = range(len(value) + 1)
    heads = [cut for cut in cuts if fnmatch.fnmatchcase(value[:cut], pattern)]
    tails = [cut for cut in cuts if fnmatch.fnmatchcase(value[cut:], pattern)]
    shortest = value[heads[0] :] if heads else value
    longest = value[heads[-1] :] if heads else value
    assert expand(f"${{v#{pattern}}}", {"v": value}) == shortest
    assert expand(f"${{v##{pattern.lstrip('#')}}}", {"v": value}) == longest
    assert expand(f"${{v%{pattern}}}", {"v": value}) == (value[: tails[-1]] if tails else value)
    assert expand(f"${{v%%{pattern}}}", {"v": value}) == (value[: tails[0]] if tails else value)
