"""The OCI distribution specification 1.1, workflow by workflow, held against a real server.

Each test is one MUST or SHOULD; the words in its name are the specification's.
"""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry_process import (
    EMPTY,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Answer,
    Registry,
    descriptor,
    digest_of,
    located,
)

ALGORITHMS = ("sha256", "sha512")
OCTETS = {"Content-Type": "application/octet-stream"}
REPOSITORY = "conformance/one"
OTHER = "conformance/two"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    registry = Registry(tmp_path_factory.mktemp("registry"))
    registry.start()
    yield registry
    registry.end()


@pytest.fixture(scope="module")
def tagged(registry: Registry) -> str:
    name = "discovery/tags"
    document = registry.image(name)
    for tag in ("v2", "v10", "Alpha", "beta", "_x"):
        registry.push_manifest(name, tag, document)
    return name


def raw_of(document: Any) -> bytes:
    return json.dumps(document).encode()


class TestPull:
    def test_the_version_check_answers_200(self, registry: Registry) -> None:
        answer = registry.ask("GET", "/v2/")
        assert answer.status == 200
        assert answer["Docker-Distribution-API-Version"] == "registry/2.0"

    def test_a_manifest_comes_back_byte_for_byte(self, registry: Registry) -> None:
        raw = json.dumps(registry.image(REPOSITORY), indent=7).encode()
        registry.push_manifest(REPOSITORY, "bytes", raw)
        for reference in ("bytes", digest_of(raw)):
            answer = registry.ask("GET", f"/v2/{REPOSITORY}/manifests/{reference}")
            assert (answer.status, answer.body) == (200, raw)
            assert answer["Content-Type"] == OCI_MANIFEST
            assert answer["Docker-Content-Digest"] == digest_of(raw)

    def test_HEAD_of_a_manifest_has_the_headers_and_no_body(self, registry: Registry) -> None:
        raw = raw_of(registry.image(REPOSITORY))
        registry.push_manifest(REPOSITORY, "head", raw)
        answer = registry.ask("HEAD", f"/v2/{REPOSITORY}/manifests/head")
        assert (answer.status, answer.body) == (200, b"")
        assert answer["Content-Length"] == str(len(raw))
        assert answer["Docker-Content-Digest"] == digest_of(raw)

    @pytest.mark.parametrize("reference", ["nowhere", digest_of(b"nowhere")])
    def test_a_manifest_that_is_not_there_is_404(self, registry: Registry, reference: str) -> None:
        answer = registry.ask("GET", f"/v2/{REPOSITORY}/manifests/{reference}")
        assert (answer.status, answer.codes) == (404, ["MANIFEST_UNKNOWN"])

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    @pytest.mark.parametrize("content", [b"", b"{}", os.urandom(3000)], ids=["empty", "{}", "some"])
    def test_a_blob_comes_back(self, registry: Registry, content: bytes, algorithm: str) -> None:
        digest = registry.push_blob(REPOSITORY, content, algorithm)
        answer = registry.ask("GET", f"/v2/{REPOSITORY}/blobs/{digest}")
        assert (answer.status, answer.body) == (200, content)
        assert answer["Docker-Content-Digest"] == digest
        head = registry.ask("HEAD", f"/v2/{REPOSITORY}/blobs/{digest}")
        assert (head.status, head.body, head["Content-Length"]) == (200, b"", str(len(content)))

    def test_a_blob_that_is_not_there_is_404(self, registry: Registry) -> None:
        path = f"/v2/{REPOSITORY}/blobs/{digest_of(b'never pushed')}"
        assert registry.ask("GET", path).codes == ["BLOB_UNKNOWN"]
        assert registry.ask("HEAD", path).status == 404

    @pytest.mark.parametrize(
        ("asked", "expected", "first", "last"),
        [
            ("bytes=500-1499", slice(500, 1500), 500, 1499),
            ("bytes=500-", slice(500, 2048), 500, 2047),
            ("bytes=-500", slice(1548, 2048), 1548, 2047),
            ("bytes=2000-5000", slice(2000, 2048), 2000, 2047),
        ],
    )
    def test_a_range_of_a_blob_is_206(
        self, registry: Registry, asked: str, expected: slice, first: int, last: int
    ) -> None:
        content = os.urandom(2048)
        digest = registry.push_blob(REPOSITORY, content)
        answer = registry.ask("GET", f"/v2/{REPOSITORY}/blobs/{digest}", headers={"Range": asked})
        assert (answer.status, answer.body) == (206, content[expected])
        assert answer["Content-Range"] == f"bytes {first}-{last}/2048"
        assert answer["Content-Length"] == str(last - first + 1)

    @pytest.mark.parametrize("asked", ["bytes=500-0", "bytes=5000-10000", "bytes=-0", "bytes=-"])
    def test_a_range_that_the_blob_has_not_is_416(self, registry: Registry, asked: str) -> None:
        digest = registry.push_blob(REPOSITORY, b"x" * 2048)
        answer = registry.ask("GET", f"/v2/{REPOSITORY}/blobs/{digest}", headers={"Range": asked})
        assert (answer.status, answer["Content-Range"]) == (416, "bytes */2048")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
class TestPushBlobs:
    def check(self, registry: Registry, created: Answer, content: bytes, algorithm: str) -> None:
        assert created.status == 201, created
        assert created["Docker-Content-Digest"] == digest_of(content, algorithm)
        assert registry.ask("GET", located(created)).body == content

    def test_POST_alone(self, registry: Registry, algorithm: str) -> None:
        content = os.urandom(512)
        created = registry.ask(
            *("POST", f"/v2/{REPOSITORY}/blobs/uploads/", content, OCTETS),
            digest=digest_of(content, algorithm),
        )
        self.check(registry, created, content, algorithm)

    def test_POST_then_PUT(self, registry: Registry, algorithm: str) -> None:
        content = os.urandom(512)
        created = registry.ask(
            *("PUT", registry.begin(REPOSITORY), content, OCTETS),
            digest=digest_of(content, algorithm),
        )
        self.check(registry, created, content, algorithm)

    def test_one_streamed_PATCH(self, registry: Registry, algorithm: str) -> None:
        content = os.urandom(512)
        taken = registry.ask("PATCH", registry.begin(REPOSITORY), content, OCTETS)
        assert (taken.status, taken["Range"]) == (202, "0-511")
        created = registry.ask("PUT", located(taken), digest=digest_of(content, algorithm))
        self.check(registry, created, content, algorithm)

    def test_one_PATCH_of_unknown_length(self, registry: Registry, algorithm: str) -> None:
        content = os.urandom(3 << 20)
        connection = http.client.HTTPConnection("127.0.0.1", registry.port, timeout=30)
        try:
            pieces = (content[at : at + 70_000] for at in range(0, len(content), 70_000))
            location = registry.begin(REPOSITORY)
            connection.request("PATCH", location, pieces, OCTETS, encode_chunked=False)
            response = connection.getresponse()
            assert (response.status, response.read()) == (202, b"")
        finally:
            connection.close()
        created = registry.ask("PUT", location, digest=digest_of(content, algorithm))
        self.check(registry, created, content, algorithm)

    @pytest.mark.parametrize("put_last", [False, True])
    def test_chunks_in_order(self, registry: Registry, algorithm: str, put_last: bool) -> None:
        content, location = os.urandom(3000), registry.begin(REPOSITORY)
        digest = digest_of(content, algorithm)
        for start in (0, 1024):
            taken = self._chunk(registry, "PATCH", location, content, start)
            assert (taken.status, taken["Range"]) == (202, f"0-{start + 1023}")
            location = located(taken)
        if put_last:
            created = self._chunk(registry, "PUT", location, content, 2048, digest=digest)
        else:
            taken = self._chunk(registry, "PATCH", location, content, 2048)
            created = registry.ask("PUT", located(taken), digest=digest)
        self.check(registry, created, content, algorithm)

    @pytest.mark.parametrize("put_last", [False, True])
    def test_a_chunk_out_of_order_is_416_and_the_upload_goes_on(
        self, registry: Registry, algorithm: str, put_last: bool
    ) -> None:
        content, location = os.urandom(3000), registry.begin(REPOSITORY)
        digest = digest_of(content, algorithm)
        assert self._chunk(registry, "PATCH", location, content, 1024).status == 416
        self._chunk(registry, "PATCH", location, content, 0)
        wrong = ("PUT", {"digest": digest}) if put_last else ("PATCH", {})
        assert self._chunk(registry, wrong[0], location, content, 2048, **wrong[1]).status == 416
        assert self._chunk(registry, wrong[0], location, content, 0, **wrong[1]).status == 416
        status = registry.ask("GET", location)
        assert (status.status, status["Range"]) == (204, "0-1023")
        location = located(status)
        self._chunk(registry, "PATCH", location, content, 1024)
        created = self._chunk(registry, "PUT", location, content, 2048, digest=digest)
        self.check(registry, created, content, algorithm)

    def test_a_wrong_digest_is_400_however_it_is_pushed(
        self, registry: Registry, algorithm: str
    ) -> None:
        digest, content = digest_of(b"right", algorithm), b"wrong"
        alone = registry.ask(
            *("POST", f"/v2/{REPOSITORY}/blobs/uploads/", content, OCTETS), digest=digest
        )
        put = registry.ask("PUT", registry.begin(REPOSITORY), content, OCTETS, digest=digest)
        taken = registry.ask("PATCH", registry.begin(REPOSITORY), content, OCTETS)
        patched = registry.ask("PUT", located(taken), digest=digest)
        for answer in (alone, put, patched):
            assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])
        assert registry.ask("HEAD", f"/v2/{REPOSITORY}/blobs/{digest}").status == 404

    def test_a_mount_links_what_the_other_repository_has(
        self, registry: Registry, algorithm: str
    ) -> None:
        content = os.urandom(512)
        digest = registry.push_blob(OTHER, content, algorithm)
        created = registry.ask(
            *("POST", f"/v2/{REPOSITORY}/blobs/uploads/"), mount=digest, **{"from": OTHER}
        )
        self.check(registry, created, content, algorithm)

    def test_a_mount_finds_a_source_by_itself(self, registry: Registry, algorithm: str) -> None:
        content = os.urandom(512)
        digest = registry.push_blob(OTHER, content, algorithm)
        created = registry.ask("POST", f"/v2/{REPOSITORY}/blobs/uploads/", mount=digest)
        self.check(registry, created, content, algorithm)

    def test_a_mount_of_what_is_not_there_opens_an_upload(
        self, registry: Registry, algorithm: str
    ) -> None:
        content = os.urandom(512)
        digest = digest_of(content, algorithm)
        answer = registry.ask(
            *("POST", f"/v2/{REPOSITORY}/blobs/uploads/"), mount=digest, **{"from": OTHER}
        )
        assert answer.status == 202
        created = registry.ask("PUT", located(answer), content, OCTETS, digest=digest)
        self.check(registry, created, content, algorithm)

    @staticmethod
    def _chunk(
        registry: Registry, method: str, location: str, content: bytes, start: int, **query: str
    ) -> Answer:
        piece = content[start : start + 1024]
        headers = {**OCTETS, "Content-Range": f"{start}-{start + len(piece) - 1}"}
        return registry.ask(method, location, piece, headers, **query)


class TestUploads:
    def test_a_cancelled_upload_is_gone(self, registry: Registry) -> None:
        location = registry.begin(REPOSITORY)
        assert registry.ask("DELETE", location).status == 204
        assert registry.ask("GET", location).codes == ["BLOB_UPLOAD_UNKNOWN"]
        assert registry.ask("PATCH", location, b"more").status == 404

    def test_an_upload_belongs_to_its_repository(self, registry: Registry) -> None:
        location = registry.begin(REPOSITORY)
        elsewhere = location.replace(REPOSITORY, OTHER)
        for method in ("GET", "PATCH", "PUT", "DELETE"):
            answer = registry.ask(method, elsewhere, b"x", digest=digest_of(b"x"))
            assert (answer.status, answer.codes) == (404, ["BLOB_UPLOAD_UNKNOWN"])
        assert registry.ask("GET", location).status == 204

    @pytest.mark.parametrize("header", ["5-1", "a-b", "0-9/x", "-1-5", "0-99999999999999999999999"])
    def test_a_nonsensical_chunk_is_416(self, registry: Registry, header: str) -> None:
        location = registry.begin(REPOSITORY)
        answer = registry.ask("PATCH", location, b"0123456789", {"Content-Range": header})
        assert answer.status == 416

    def test_a_chunk_shorter_than_its_range_is_refused(self, registry: Registry) -> None:
        location = registry.begin(REPOSITORY)
        answer = registry.ask("PATCH", location, b"0123456789", {"Content-Range": "0-99"})
        assert answer.status == 416

    @pytest.mark.parametrize("digest", ["", "sha256:short", "md5:" + "0" * 32, "no digest"])
    def test_an_upload_ends_only_with_a_digest(self, registry: Registry, digest: str) -> None:
        answer = registry.ask("PUT", registry.begin(REPOSITORY), b"x", OCTETS, digest=digest)
        assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])

    def test_two_digests_are_one_too_many(self, registry: Registry) -> None:
        one, two = digest_of(b"x"), digest_of(b"y")
        path = f"{registry.begin(REPOSITORY)}?digest={one}&digest={two}"
        assert registry.ask("PUT", path, b"x", OCTETS).status == 400


class TestPushManifests:
    def test_the_location_is_where_it_is(self, registry: Registry) -> None:
        raw = raw_of(registry.image(REPOSITORY))
        created = registry.push_manifest(REPOSITORY, "located", raw)
        assert created.status == 201
        assert created["Docker-Content-Digest"] == digest_of(raw)
        assert registry.ask("GET", located(created)).body == raw

    def test_a_manifest_by_another_digest_is_400(self, registry: Registry) -> None:
        raw = raw_of(registry.image(REPOSITORY))
        wrong = registry.push_manifest(REPOSITORY, digest_of(raw), raw + b"  ")
        assert (wrong.status, wrong.codes) == (400, ["DIGEST_INVALID"])

    def test_a_digest_that_is_none_is_400(self, registry: Registry) -> None:
        document = registry.image(REPOSITORY)
        answer = registry.push_manifest(REPOSITORY, "sha256:baddigeststring", document)
        assert (answer.status, answer.codes) == (400, ["DIGEST_INVALID"])
        assert (
            registry.ask("GET", f"/v2/{REPOSITORY}/manifests/sha256:baddigeststring").status == 400
        )

    def test_sha512_all_the_way(self, registry: Registry) -> None:
        raw = raw_of(registry.image(REPOSITORY, "sha512"))
        digest = digest_of(raw, "sha512")
        assert registry.push_manifest(REPOSITORY, digest, raw).status == 201
        index = {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [descriptor(raw, OCI_MANIFEST, "sha512")],
        }
        outer = digest_of(raw_of(index), "sha512")
        assert registry.push_manifest(REPOSITORY, outer, index).status == 201
        assert registry.ask("GET", f"/v2/{REPOSITORY}/manifests/{digest}").body == raw

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_tags_in_the_query_name_what_is_pushed_by_digest(
        self, registry: Registry, algorithm: str
    ) -> None:
        raw = raw_of(registry.image(REPOSITORY))
        digest = digest_of(raw, algorithm)
        path = f"{digest}?tag=first-{algorithm}&tag=second-{algorithm}"
        created = registry.push_manifest(REPOSITORY, path, raw)
        assert created["OCI-Tag"] == f"first-{algorithm}, second-{algorithm}"
        head = registry.ask("HEAD", f"/v2/{REPOSITORY}/manifests/second-{algorithm}")
        assert head["Docker-Content-Digest"] == digest

    def test_blobs_that_are_not_there_are_named(self, registry: Registry) -> None:
        document = registry.image(REPOSITORY)
        missing = descriptor(b"missing", OCI_LAYER)
        document["layers"].append(missing)
        answer = registry.push_manifest(REPOSITORY, "missing", document)
        assert (answer.status, answer.codes) == (404, ["MANIFEST_BLOB_UNKNOWN"])
        assert answer.json["errors"][0]["detail"] == [{"digest": missing["digest"]}]
        assert registry.ask("GET", f"/v2/{REPOSITORY}/manifests/missing").status == 404

    def test_a_blob_of_another_repository_is_not_there(self, registry: Registry) -> None:
        document = registry.image(OTHER)
        assert registry.push_manifest(REPOSITORY, "stolen", document).status == 404

    def test_an_index_needs_its_manifests(self, registry: Registry) -> None:
        index = {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [descriptor(b"no manifest", OCI_MANIFEST)],
        }
        answer = registry.push_manifest(REPOSITORY, "sparse", index)
        assert answer.codes == ["MANIFEST_BLOB_UNKNOWN"]

    def test_an_index_of_indexes_and_an_empty_one(self, registry: Registry) -> None:
        empty: dict[str, Any] = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
        assert registry.push_manifest(REPOSITORY, "empty", empty).status == 201
        outer = {**empty, "manifests": [descriptor(raw_of(empty), OCI_INDEX)]}
        assert registry.push_manifest(REPOSITORY, "outer", outer).status == 201

    def test_layers_kept_elsewhere_need_not_be_there(self, registry: Registry) -> None:
        document = registry.image(REPOSITORY)
        for name in ("nondistributable.v1.tar", "nondistributable.v1.tar+gzip"):
            kind = f"application/vnd.oci.image.layer.{name}"
            document["layers"].append(descriptor(name.encode(), kind))
        assert registry.push_manifest(REPOSITORY, "elsewhere", document).status == 201

    def test_no_layers_unknown_fields_and_embedded_bytes_are_fine(self, registry: Registry) -> None:
        document = {**registry.image(REPOSITORY), "layers": [], "org.example.new": {"a": [1]}}
        document["config"]["data"] = "e30="
        assert registry.push_manifest(REPOSITORY, "odd", document).status == 201

    def test_a_manifest_of_nearly_4_MiB(self, registry: Registry) -> None:
        notes = {f"large-annotation-{n}": "A" * 10_000 for n in range(390)}
        raw = raw_of(registry.image(REPOSITORY, annotations=notes))
        assert registry.push_manifest(REPOSITORY, "large", raw).status == 201
        assert registry.ask("GET", f"/v2/{REPOSITORY}/manifests/large").body == raw

    def test_more_than_4_MiB_is_413(self, registry: Registry) -> None:
        document = registry.image(REPOSITORY, annotations={"big": "A" * (4 << 20)})
        answer = registry.push_manifest(REPOSITORY, "larger", document)
        assert (answer.status, answer.codes) == (413, ["SIZE_INVALID"])

    @pytest.mark.parametrize(
        "document",
        [
            {"schemaVersion": 1, "mediaType": OCI_MANIFEST},
            {"schemaVersion": 2, "mediaType": "text/plain"},
            {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": []},
            {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "layers": []},
            {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": "none"},
        ],
        ids=["schema 1", "unknown type", "no config", "both", "no list"],
    )
    def test_what_is_no_manifest_is_400(self, registry: Registry, document: dict[str, Any]) -> None:
        answer = registry.push_manifest(REPOSITORY, "bad", document)
        assert (answer.status, answer.codes) == (400, ["MANIFEST_INVALID"])

    def test_two_types_for_one_manifest_are_400(self, registry: Registry) -> None:
        raw = raw_of(registry.image(REPOSITORY))
        answer = registry.ask(
            "PUT", f"/v2/{REPOSITORY}/manifests/two", raw, {"Content-Type": OCI_INDEX}
        )
        assert answer.codes == ["MANIFEST_INVALID"]


class TestDiscovery:
    def test_tags_come_in_the_order_of_their_bytes(self, registry: Registry, tagged: str) -> None:
        answer = registry.ask("GET", f"/v2/{tagged}/tags/list")
        assert answer.json == {"name": tagged, "tags": ["Alpha", "_x", "beta", "v10", "v2"]}
        assert answer.headers["Link"] is None

    def test_n_and_last_make_pages_that_a_Link_joins(self, registry: Registry, tagged: str) -> None:
        found: list[str] = []
        path = f"/v2/{tagged}/tags/list?n=2"
        while path:
            answer = registry.ask("GET", path)
            assert len(answer.json["tags"]) <= 2
            found += answer.json["tags"]
            link = answer.headers["Link"] or ""
            assert not link or link.endswith('; rel="next"')
            path = link.partition(">")[0].lstrip("<")
        assert found == ["Alpha", "_x", "beta", "v10", "v2"]

    def test_n_of_zero_is_an_empty_list(self, registry: Registry, tagged: str) -> None:
        assert registry.ask("GET", f"/v2/{tagged}/tags/list", n="0").json["tags"] == []

    def test_last_alone_skips(self, registry: Registry, tagged: str) -> None:
        answer = registry.ask("GET", f"/v2/{tagged}/tags/list", last="beta")
        assert answer.json["tags"] == ["v10", "v2"]

    @pytest.mark.parametrize("n", ["-1", "abc", "1e9", "", "٣"])
    def test_an_n_that_is_no_number_is_400(self, registry: Registry, tagged: str, n: str) -> None:
        answer = registry.ask("GET", f"/v2/{tagged}/tags/list", n=n)
        assert (answer.status, answer.codes) == (400, ["PAGINATION_NUMBER_INVALID"])

    def test_a_repository_that_is_not_there_is_404(self, registry: Registry) -> None:
        answer = registry.ask("GET", "/v2/discovery/nowhere/tags/list")
        assert (answer.status, answer.codes) == (404, ["NAME_UNKNOWN"])

    def test_the_catalog_lists_repositories_in_pages(self, registry: Registry, tagged: str) -> None:
        answer = registry.ask("GET", "/v2/_catalog", n="1", last="discovery/a")
        assert answer.json == {"repositories": [tagged]}
        everything = registry.ask("GET", "/v2/_catalog", n="1000000000000")
        assert tagged in everything.json["repositories"]


class TestReferrers:
    def artifact(self, registry: Registry, name: str, kind: str, subject: Any) -> bytes:
        registry.push_blob(name, b"{}")
        layer = registry.push_blob(name, kind.encode())
        return raw_of(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "artifactType": kind,
                "config": descriptor(b"{}", EMPTY),
                "layers": [{"mediaType": kind, "digest": layer, "size": len(kind)}],
                "subject": subject,
                "annotations": {"org.example.kind": kind},
            }
        )

    def test_nothing_refers_to_what_nobody_knows(self, registry: Registry) -> None:
        answer = registry.ask("GET", f"/v2/nobody/knows/referrers/{digest_of(b'x')}")
        assert (answer.status, answer["Content-Type"]) == (200, OCI_INDEX)
        assert answer.json == {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}

    def test_those_with_the_subject_are_listed_and_filtered(self, registry: Registry) -> None:
        name = "referrers/all"
        subject_raw = raw_of(registry.image(name))
        registry.push_manifest(name, "subject", subject_raw)
        subject = descriptor(subject_raw, OCI_MANIFEST)
        artifacts = {kind: self.artifact(registry, name, kind, subject) for kind in ("a/x", "b/x")}
        image = raw_of(registry.image(name, subject=subject))
        for raw in (*artifacts.values(), image):
            created = registry.push_manifest(name, digest_of(raw), raw)
            assert created["OCI-Subject"] == subject["digest"]
        path = f"/v2/{name}/referrers/{subject['digest']}"
        found = registry.ask("GET", path)
        assert found.headers["OCI-Filters-Applied"] is None
        listed = {row["digest"]: row for row in found.json["manifests"]}
        assert set(listed) == {digest_of(raw) for raw in (*artifacts.values(), image)}
        assert listed[digest_of(image)]["artifactType"] == OCI_CONFIG
        filtered = registry.ask("GET", path, artifactType="a/x")
        assert filtered["OCI-Filters-Applied"] == "artifactType"
        assert filtered.json["manifests"] == [
            {
                **descriptor(artifacts["a/x"], OCI_MANIFEST),
                "artifactType": "a/x",
                "annotations": {"org.example.kind": "a/x"},
            }
        ]

    def test_the_subject_may_come_later_and_the_referrer_go(self, registry: Registry) -> None:
        name = "referrers/missing"
        subject = descriptor(b"missing content", OCI_MANIFEST)
        raw = self.artifact(registry, name, "c/x", subject)
        assert registry.push_manifest(name, "artifact", raw)["OCI-Subject"] == subject["digest"]
        path = f"/v2/{name}/referrers/{subject['digest']}"
        assert len(registry.ask("GET", path).json["manifests"]) == 1
        registry.ask("DELETE", f"/v2/{name}/manifests/{digest_of(raw)}")
        assert registry.ask("GET", path).json["manifests"] == []


class TestManagement:
    def test_deleting_a_tag_leaves_the_manifest(self, registry: Registry) -> None:
        raw = raw_of(registry.image(REPOSITORY))
        registry.push_manifest(REPOSITORY, "go", raw)
        registry.push_manifest(REPOSITORY, "stay", raw)
        assert registry.ask("DELETE", f"/v2/{REPOSITORY}/manifests/go").status == 202
        assert registry.ask("HEAD", f"/v2/{REPOSITORY}/manifests/go").status == 404
        assert registry.ask("HEAD", f"/v2/{REPOSITORY}/manifests/stay").status == 200
        assert registry.ask("DELETE", f"/v2/{REPOSITORY}/manifests/go").status == 404

    def test_deleting_a_manifest_takes_its_tags(self, registry: Registry) -> None:
        raw = raw_of(registry.image(REPOSITORY))
        registry.push_manifest(REPOSITORY, "with", raw)
        path = f"/v2/{REPOSITORY}/manifests/"
        assert registry.ask("DELETE", path + digest_of(raw)).status == 202
        for reference in ("with", digest_of(raw)):
            assert registry.ask("GET", path + reference).codes == ["MANIFEST_UNKNOWN"]
        tags = registry.ask("GET", f"/v2/{REPOSITORY}/tags/list").json["tags"]
        assert "with" not in tags

    def test_a_deleted_blob_is_gone_here_and_not_elsewhere(self, registry: Registry) -> None:
        content = os.urandom(100)
        digest = registry.push_blob(REPOSITORY, content)
        registry.push_blob(OTHER, content)
        assert registry.ask("DELETE", f"/v2/{REPOSITORY}/blobs/{digest}").status == 202
        for method in ("HEAD", "GET", "DELETE"):
            assert registry.ask(method, f"/v2/{REPOSITORY}/blobs/{digest}").status == 404
        assert registry.ask("GET", f"/v2/{OTHER}/blobs/{digest}").body == content


class TestErrors:
    @pytest.mark.parametrize(
        "name",
        [
            "..",
            "%2e%2e",
            "a//b",
            "/a",
            "a/",
            "A",
            "_uploads",
            "a/_b",
            "-a",
            "a" * 256,
            "a/../b",
            "%C3%A4",
        ],
    )
    def test_a_name_against_the_grammar_is_400(self, registry: Registry, name: str) -> None:
        path = f"/v2/{name}/tags/list"
        answer = registry.ask("GET", path)
        assert (answer.status, answer.codes) == (400, ["NAME_INVALID"])

    @pytest.mark.parametrize("tag", ["-x", ".x", "a" * 129, "a%20b"])
    def test_a_tag_against_the_grammar_is_400(self, registry: Registry, tag: str) -> None:
        document = registry.image(REPOSITORY)
        answer = registry.push_manifest(REPOSITORY, tag, document)
        assert (answer.status, answer.codes) == (400, ["NAME_INVALID"])

    def test_an_unknown_method_is_405(self, registry: Registry) -> None:
        answer = registry.ask("PUT", f"/v2/{REPOSITORY}/tags/list", b"")
        assert (answer.status, answer.codes) == (405, ["UNSUPPORTED"])

    def test_an_unknown_path_is_404_in_the_same_shape(self, registry: Registry) -> None:
        answer = registry.ask("GET", "/v2/some/where/else")
        assert answer.status == 404
        assert answer.json["errors"][0]["message"]


def test_nothing_is_kept_that_no_test_pushed(registry: Registry) -> None:
    assert not list(Path(registry.root, "staging").iterdir())
    assert not list(Path(registry.root, "trash").iterdir())
