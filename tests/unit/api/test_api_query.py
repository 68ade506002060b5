"""Versions, query values and filters as Docker reads them."""

from __future__ import annotations

import pytest

from lading.api.filters import Filters, InvalidFilter
from lading.api.query import InvalidNumber, Query
from lading.api.versions import NEWEST, Version, WrongVersion, split


def test_a_version_is_taken_off_the_path() -> None:
    assert split("/v1.41/info") == (Version(1, 41), "/info")
    assert split("/info") == (NEWEST, "/info")
    assert split("/v1.41") == (Version(1, 41), "")
    assert split("/volumes") == (NEWEST, "/volumes")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/v1.99/info", "client version 1.99 is too new. Maximum supported API version is 1.50"),
        ("/v2.0/info", "client version 2.0 is too new"),
        ("/v1.10/info", "client version 1.10 is too old. Minimum supported API version is 1.24"),
        ("/v1.99999999999/info", "invalid API version"),
    ],
)
def test_other_versions_are_refused_in_dockers_words(path: str, words: str) -> None:
    with pytest.raises(WrongVersion, match=words):
        split(path)


@pytest.mark.parametrize("text", ["1", "true", "True", "yes", "x"])
def test_a_flag_is_anything_but_no(text: str) -> None:
    assert Query({"all": [text]}).flag("all")


@pytest.mark.parametrize("text", ["", "0", "false", "FALSE", "no", "none", " "])
def test_no_is_no(text: str) -> None:
    assert not Query({"all": [text]}).flag("all", default=True)


def test_an_absent_flag_is_its_default() -> None:
    assert Query({}).flag("all", default=True)
    assert not Query({}).flag("all")


def test_a_number_is_decimal() -> None:
    assert Query({"t": ["-1"]}).number("t") == -1
    assert Query({"t": [""]}).number("t") is None
    with pytest.raises(InvalidNumber, match=r'strconv\.Atoi: parsing "abc": invalid syntax'):
        Query({"t": ["abc"]}).number("t")


@pytest.mark.parametrize(
    "text",
    ['{"status":["running","paused"]}', '{"status":{"running":true,"paused":true,"x":false}}'],
)
def test_both_spellings_of_filters_are_read(text: str) -> None:
    assert Filters.parse(text, {"status"}).all("status") == ("running", "paused")


@pytest.mark.parametrize("text", ["abc", "[]", '{"a":1}', "1", "[" * 100_000, '{"a":' * 5000])
def test_filters_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InvalidFilter, match="invalid filter"):
        Filters.parse(text, {"a"})


def test_an_unknown_filter_is_named() -> None:
    with pytest.raises(InvalidFilter, match="invalid filter 'foo'"):
        Filters.parse('{"foo":["x"]}', {"name"})


def test_labels_all_have_to_be_there() -> None:
    filters = Filters({"label": ["a", "b=2"]})
    assert filters.labels({"a": "", "b": "2"})
    assert not filters.labels({"a": "", "b": "3"})
    assert not filters.labels({"b": "2"})
    assert not filters.labels(None)


def test_prune_can_keep_what_has_a_label() -> None:
    filters = Filters({"label!": ["keep"]})
    assert filters.labels_for_prune({})
    assert not filters.labels_for_prune({"keep": "1"})


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("web", "my-web-1", True),
        ("^web", "my-web-1", False),
        ("web-[0-9]$", "my-web-1", True),
        ("w.b", "my-web", True),
        ("db", "my-web", False),
    ],
)
def test_names_are_matched_as_patterns(pattern: str, text: str, found: bool) -> None:
    assert Filters({"name": [pattern]}).matches("name", text) is found


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "((", "a{999999999999}", "(a|a)*b", r"(a)\1", "*" * 9]
)
def test_a_pattern_that_could_take_for_ever_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidFilter):
        Filters({"name": [pattern]}).matches("name", "a" * 64)


@pytest.mark.parametrize(("text", "value"), [("1", True), ("True", True), ("false", False)])
def test_yes_or_no_filters(text: str, value: bool) -> None:
    assert Filters({"dangling": [text]}).flag("dangling") is value
    assert Filters({}).flag("dangling") is None
    with pytest.raises(InvalidFilter, match=r"invalid filter 'dangling=\[x\]'"):
        Filters({"dangling": ["x"]}).flag("dangling")
