"""Names, ranges, rights and rules of the registry, without any server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.errors import Invalid
from lading.oci.digest import Digest
from lading.oci.documents import InvalidDocument
from lading.registry.server import names, ranges
from lading.registry.server.documents import Document
from lading.registry.server.failures import Failures
from lading.registry.server.listings import InvalidPageSize, page_size
from lading.registry.server.names import InvalidName
from lading.registry.server.ranges import RangeUnsatisfiable, Span
from lading.registry.server.retention import Rule, Tagged, expired
from lading.registry.server.rights import InvalidRight, Principal, Right
from lading.registry.server.settings import (
    Address,
    InvalidAddress,
    RegistrySettings,
    TlsNeeded,
    UsersNeeded,
)

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


class TestNames:
    @pytest.mark.parametrize(
        "name", ["a", "a/b", "a.b__c/d-e--f", "0", "a" * 255, "a/blobs/uploads"]
    )
    def test_names_of_the_grammar_are_taken(self, name: str) -> None:
        assert names.repository(name) == name

    @pytest.mark.parametrize(
        "name",
        ["", "A", "a//b", "/a", "a/", "..", ".a", "a.", "a..b", "a___b", "a" * 256, "a\n", "é"],
    )
    def test_others_are_not(self, name: str) -> None:
        with pytest.raises(InvalidName):
            names.repository(name)

    @pytest.mark.parametrize("tag", ["-x", ".x", "", "a" * 129, "a/b", "a:b", "a\n"])
    def test_tags_have_a_grammar_too(self, tag: str) -> None:
        with pytest.raises(InvalidName):
            names.tag(tag)


class TestRanges:
    @pytest.mark.parametrize(
        ("header", "span"),
        [
            (None, None),
            ("bytes=0-0", Span(0, 1)),
            ("bytes=0-", Span(0, 100)),
            ("bytes=-1", Span(99, 1)),
            ("bytes=-1000", Span(0, 100)),
            ("bytes=99-500", Span(99, 1)),
            ("bytes=0-1,5-6", None),
            ("lines=1-2", None),
        ],
    )
    def test_what_is_asked_for(self, header: str | None, span: Span | None) -> None:
        assert ranges.wanted(header, 100) == span

    @pytest.mark.parametrize(
        "header", ["bytes=100-", "bytes=5-4", "bytes=-0", "bytes=-", "bytes=a-b", "bytes=--5"]
    )
    def test_what_cannot_be_had(self, header: str) -> None:
        with pytest.raises(RangeUnsatisfiable):
            ranges.wanted(header, 100)

    @given(st.text(max_size=40), st.integers(0, 1000))
    def test_any_text_is_a_range_within_or_refused(self, text: str, size: int) -> None:
        try:
            span = ranges.wanted(f"bytes={text}", size)
        except RangeUnsatisfiable:
            return
        assert span is None or 0 <= span.start <= span.last < size

    @pytest.mark.parametrize("header", ["10-19", "bytes 10-19/20", "bytes 10-19/*"])
    def test_a_chunk_comes_next(self, header: str) -> None:
        assert ranges.chunk(header, 10, 10) == Span(10, 10)

    @pytest.mark.parametrize("header", ["0-9", "11-20", "10-9", "10-20", "10-18", "x", ""])
    def test_another_chunk_does_not(self, header: str) -> None:
        with pytest.raises(RangeUnsatisfiable):
            ranges.chunk(header, 10, 10)


class TestPageSizes:
    def test_no_more_than_a_thousand(self) -> None:
        assert page_size("1000000000000") == 1000
        assert page_size("0") == 0
        assert page_size(None) is None

    @pytest.mark.parametrize("text", ["-1", "abc", "", "1.5", "٣", "9" * 21])
    def test_what_is_no_number_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidPageSize):
            page_size(text)


class TestRights:
    @pytest.mark.parametrize(
        ("pattern", "name", "fits"),
        [
            ("**", "a/b/c", True),
            ("team/*", "team/app", True),
            ("team/*", "team/app/x", False),
            ("team/*", "team-evil/app", False),
            ("team/**", "team/app/x", True),
            ("team", "team", True),
            ("team", "team/app", False),
            ("a.b/c", "axb/c", False),
        ],
    )
    def test_a_pattern_fits_whole_names(self, pattern: str, name: str, fits: bool) -> None:
        assert Right.parse(f"pull:{pattern}").grants("pull", name) is fits

    @pytest.mark.parametrize("text", ["pull", "pull:", "pull,fly:a", ":a", "pull:A", "pull:a b"])
    def test_what_grants_nothing_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidRight):
            Right.parse(text)

    def test_a_right_reads_as_it_was_written(self) -> None:
        assert str(Right.parse("push,pull:a/*")) == "pull,push:a/*"

    def test_narrowing_never_widens(self) -> None:
        owner = Principal("o", (Right.parse("pull:team/*"),), quota=5)
        granted = [Right.parse("pull,push:team/app"), Right.parse("pull:other/app")]
        narrow = owner.narrowed(granted)
        assert narrow.may("pull", "team/app")
        assert not narrow.may("push", "team/app")
        assert not narrow.may("pull", "team/other")
        assert not narrow.may("pull", "other/app")
        assert narrow.quota == 5


class TestDocuments:
    def row(self, content: bytes = b"x", kind: str = "a/b") -> dict[str, Any]:
        return {"mediaType": kind, "digest": str(Digest.of(content)), "size": len(content)}

    def parse(self, fields: dict[str, Any], kind: str = MANIFEST) -> Document:
        raw = json.dumps(fields).encode()
        return Document.parse(raw, Digest.of(raw), kind)

    def test_what_an_image_names(self) -> None:
        away = self.row(b"away", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")
        document = self.parse(
            {"schemaVersion": 2, "config": self.row(), "layers": [self.row(b"l"), away]}
        )
        assert document.blobs == {Digest.of(b"x"), Digest.of(b"l")}
        assert document.elsewhere == {Digest.of(b"away")}
        assert document.artifact_type == "a/b"

    def test_an_artifact_type_of_its_own_comes_first(self) -> None:
        document = self.parse({"schemaVersion": 2, "artifactType": "c/d", "config": self.row()})
        assert document.artifact_type == "c/d"

    def test_an_index_names_manifests(self) -> None:
        document = self.parse({"schemaVersion": 2, "manifests": [self.row()]}, INDEX)
        assert document.manifests == {Digest.of(b"x")}
        assert not document.blobs

    @pytest.mark.parametrize(
        ("change", "kind"),
        [
            ({"manifests": []}, MANIFEST),
            ({"schemaVersion": 1}, MANIFEST),
            ({"mediaType": INDEX}, MANIFEST),
            ({"subject": "x"}, MANIFEST),
            ({"annotations": {"a": 1}}, MANIFEST),
            ({"layers": {}}, MANIFEST),
            ({"layers": [{"digest": "sha256:x", "size": 1}]}, MANIFEST),
            ({}, INDEX),
            ({}, "text/html"),
        ],
        ids=str,
    )
    def test_others_are_refused(self, change: dict[str, Any], kind: str) -> None:
        with pytest.raises(Invalid):
            self.parse({"schemaVersion": 2, "config": self.row(), "layers": [], **change}, kind)

    def test_a_key_twice_is_refused(self) -> None:
        raw = b'{"schemaVersion":2,"schemaVersion":2}'
        with pytest.raises(InvalidDocument):
            Document.parse(raw, Digest.of(raw), MANIFEST)


class TestRetention:
    def tags(self, *ages: int) -> list[Tagged]:
        return [Tagged("r", f"t{age}", Digest.of(b"x"), 1000.0 - age) for age in ages]

    @pytest.mark.parametrize(
        ("rule", "gone"),
        [
            (Rule(), []),
            (Rule(keep_last=2), ["t30", "t20"]),
            (Rule(keep_within=15), ["t30", "t20"]),
            (Rule(keep_last=3, keep_within=15), ["t30"]),
            (Rule(keep_last=1, keep_within=25), ["t30"]),
            (Rule(keep_last=0), ["t30", "t20", "t10", "t0"]),
            (Rule(tags="t3*", keep_last=0), ["t30"]),
            (Rule(tags="t.0", keep_last=0), []),
        ],
        ids=str,
    )
    def test_what_a_rule_lets_go(self, rule: Rule, gone: list[str]) -> None:
        found = expired(rule, self.tags(10, 30, 0, 20), now=1000.0)
        assert [tag.name for tag in found] == gone


class TestFailures:
    def test_so_many_in_so_long(self) -> None:
        now = [0.0]
        failures = Failures(3, 60.0, clock=lambda: now[0])
        for _ in range(3):
            assert failures.wait("192.0.2.1") == 0
            failures.note("192.0.2.1")
        assert 1 <= failures.wait("192.0.2.1") <= 61
        assert failures.wait("192.0.2.2") == 0
        now[0] = 61.0
        assert failures.wait("192.0.2.1") == 0

    def test_one_network_is_one_caller(self) -> None:
        failures = Failures(1)
        failures.note("2001:db8::1")
        assert failures.wait("2001:db8::2") > 0
        assert failures.wait("2001:db8:0:1::1") == 0


class TestSettings:
    def settings(self, tmp_path: Any, text: str, **more: Any) -> RegistrySettings:
        return RegistrySettings(tmp_path, [Address.parse(text)], **more)

    @pytest.mark.parametrize("text", ["127.0.0.1:5000", "[::1]:5000", "localhost:5000"])
    def test_loopback_is_open_until_there_are_users(self, tmp_path: Any, text: str) -> None:
        settings = self.settings(tmp_path, text)
        assert settings.open_to_all(has_users=False)
        assert not settings.open_to_all(has_users=True)
        assert not self.settings(tmp_path, text, login=True).open_to_all(has_users=False)

    @pytest.mark.parametrize("text", ["0.0.0.0:5000", "[::]:5000", "192.0.2.1:1"])
    def test_elsewhere_needs_users_and_tls(self, tmp_path: Any, text: str) -> None:
        settings = self.settings(tmp_path, text)
        with pytest.raises(UsersNeeded):
            settings.open_to_all(has_users=False)
        with pytest.raises(TlsNeeded):
            settings.open_to_all(has_users=True)
        assert not self.settings(tmp_path, text, plain_http=True).open_to_all(has_users=True)

    @pytest.mark.parametrize("text", ["5000", "host:5000", "127.0.0.1", "127.0.0.1:99999", ":5"])
    def test_what_is_no_address_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidAddress):
            Address.parse(text)
