"""HOSTILE 24, 28 to 34: registries that lie, lead astray, or never end."""

from __future__ import annotations

import io
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from image_box import INDEX, LAYER, MANIFEST, Box, large_layer, sha256
from lading.errors import Invalid, LadingError, NotFound, Unavailable
from lading.image import transfer
from lading.image.target import LibraryTarget
from lading.oci.descriptor import Descriptor
from lading.oci.digest import Digest
from lading.oci.platform import Platform
from lading.oci.reference import Reference
from lading.registry.auth import UntrustedRealm
from lading.registry.credentials import Credentials
from lading.registry.crossing import carry
from lading.registry.dial import ForbiddenAddress
from lading.registry.download import Incomplete
from lading.registry.failures import PullDenied, TooManyRequests, WrongDocument
from lading.registry.hosts import Registries
from lading.registry.remote import BadPages, Repository, SchemaOne
from lading.registry.remotes import Remotes
from lading.registry.sides import RegistrySource
from lading.registry.upload import UploadLeadsAway, upload
from lading.registry.wire import BadRedirect
from lading.store.blobs import UnexpectedContent
from tiny_registry import Handler, Registry, served
from unit.registry.conftest import QUICK, plain

Source = Callable[..., RegistrySource]
ME = Credentials("me", "secret")
LAYERS = [large_layer("one"), large_layer("two")]


def pull(box: Box, source: RegistrySource) -> str:
    """The ID of what came."""
    chosen = transfer.select(source, source.resolve(), Platform.of_host())
    with box.library.lease() as lease:
        target = LibraryTarget(box.library, lease, (Reference.parse("here:1"),))
        carry(source, target, chosen)
        assert target.image
        return str(target.image.id)


def on(method: str, part: str, answer: Callable[[Handler], object]) -> Callable[[Handler], bool]:
    """A hook for requests of that method with *part* in their path."""

    def hook(handler: Handler) -> bool:
        if handler.command != method or part not in handler.path:
            return False
        answer(handler)
        return True

    return hook


def once(hook: Callable[[Handler], bool], times: int = 1) -> Callable[[Handler], bool]:
    left = [None] * times

    def limited(handler: Handler) -> bool:
        if not left or not hook(handler):
            return False
        left.pop()
        return True

    return limited


class TestDigests:
    """30 and 33: each byte is hashed, and headers prove nothing."""

    def test_an_honest_image_comes_whole(
        self, registry: Registry, box: Box, source: Source
    ) -> None:
        registry.put("some/image", "1", LAYERS)
        assert pull(box, source("some/image:1")) == str(box.library.resolve("here:1").id)

    def test_another_document_than_the_pinned_one_is_refused(
        self, registry: Registry, source: Source
    ) -> None:
        digest = registry.put("some/image", "1", LAYERS[:1])
        other = registry.put("some/image", "2", LAYERS[1:])
        lie = registry.manifests["some/image", other]
        registry.hooks.append(
            on("GET", "manifests/", lambda h: h.answer(
                200, lie[1], Content_Type=lie[0], Docker_Content_Digest=digest))
        )  # fmt: skip
        with pytest.raises(UnexpectedContent):
            source(f"some/image@{digest}").resolve()

    def test_what_a_header_says_of_a_tag_does_not_count(
        self, registry: Registry, source: Source
    ) -> None:
        digest = registry.put("some/image", "1", LAYERS[:1])
        kind, content = registry.manifests["some/image", "1"]
        registry.hooks.append(
            on("GET", "manifests/", lambda h: h.answer(
                200, content, Content_Type=kind, Docker_Content_Digest="sha256:" + "0" * 64))
        )  # fmt: skip
        assert str(source("some/image:1").resolve().digest) == digest

    @pytest.mark.parametrize("damage", ["changed", "short", "long", "empty", "other"])
    def test_a_bad_layer_leaves_nothing_behind(
        self, registry: Registry, box: Box, source: Source, damage: str
    ) -> None:
        registry.put("some/image", "1", LAYERS)
        good = LAYERS[1]
        bad = {
            "changed": good[:5000] + bytes([good[5000] ^ 1]) + good[5001:],
            "short": good[:-1],
            "long": good + b"x",
            "empty": b"",
            "other": LAYERS[0],
        }[damage]
        registry.blobs["some/image", sha256(good)] = bad
        before = box.contents()
        with pytest.raises((Invalid, Unavailable)):
            pull(box, source("some/image:1"))
        assert box.contents() == before

    def test_a_layer_that_came_damaged_once_is_asked_for_again(
        self, registry: Registry, box: Box, source: Source
    ) -> None:
        registry.put("some/image", "1", LAYERS)
        bad = LAYERS[0][:5000] + b"!" + LAYERS[0][5001:]
        wrong = on("GET", sha256(LAYERS[0]), lambda h: h.answer(200, bad))
        registry.hooks.append(once(wrong))
        assert pull(box, source("some/image:1"))

    def test_a_broken_layer_is_resumed_by_range(
        self, registry: Registry, box: Box, source: Source
    ) -> None:
        registry.put("some/image", "1", LAYERS[:1])

        def cut(handler: Handler) -> None:
            handler.answer(200, LAYERS[0][:70_000], Content_Length=str(len(LAYERS[0])))
            handler.break_off()

        registry.hooks.append(once(on("GET", sha256(LAYERS[0]), cut)))
        assert pull(box, source("some/image:1"))
        ranges = [
            r.headers["range"] for r in registry.requests("GET", "blobs/") if "range" in r.headers
        ]
        assert ranges == ["bytes=70000-"]

    def test_a_registry_that_trickles_is_left(
        self, registry: Registry, box: Box, source: Source
    ) -> None:
        registry.put("some/image", "1", LAYERS[:1])

        def trickle(handler: Handler) -> None:
            handler.answer(200, b"", Content_Length=str(len(LAYERS[0])))
            for byte in LAYERS[0][:40]:
                handler.wfile.write(bytes([byte]))
                time.sleep(0.02)

        registry.hooks.append(on("GET", sha256(LAYERS[0]), trickle))
        began = time.monotonic()
        with pytest.raises(Incomplete):
            pull(box, source("some/image:1"))
        assert time.monotonic() - began < 8

    def test_a_chunked_body_without_an_end_is_left(
        self, registry: Registry, source: Source
    ) -> None:
        registry.put("some/image", "1", LAYERS[:1])

        def endless(handler: Handler) -> None:
            handler.send_response(200)
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            while True:
                handler.wfile.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")

        registry.hooks.append(on("GET", "blobs/", endless))
        blob = Descriptor(LAYER, Digest.of(LAYERS[0]), len(LAYERS[0]))
        with (
            pytest.raises(Incomplete, match="more bytes"),
            source("some/image:1").open(blob) as got,
        ):
            got.read()

    def test_a_manifest_without_an_end_is_left(self, registry: Registry, source: Source) -> None:
        huge = b'{"a":"' + b"x" * (5 << 20)
        registry.manifest("some/image", "1", MANIFEST, huge)
        with pytest.raises(Invalid, match="more than 4194304 bytes"):
            source("some/image:1").resolve()


class TestDocuments:
    """24 and 25: a document is one thing."""

    @pytest.mark.parametrize(
        ("kind", "document"),
        [
            (INDEX, {"mediaType": MANIFEST, "layers": []}),
            (MANIFEST, {"mediaType": INDEX, "manifests": []}),
            ("text/html", {"hello": 1}),
        ],
    )
    def test_what_is_announced_as_another_thing_is_refused(
        self, registry: Registry, source: Source, kind: str, document: object
    ) -> None:
        registry.manifest("some/image", "1", kind, json.dumps(document).encode())
        with pytest.raises(WrongDocument):
            source("some/image:1").resolve()

    def test_manifest_and_index_in_one_is_refused(
        self, registry: Registry, box: Box, source: Source
    ) -> None:
        registry.put("some/image", "1", LAYERS[:1])
        document = json.loads(registry.manifests["some/image", "1"][1]) | {"manifests": []}
        registry.manifest("some/image", "1", MANIFEST, json.dumps(document).encode())
        with pytest.raises(Invalid, match="also an index"):
            pull(box, source("some/image:1"))

    def test_the_oldest_schema_is_told_of(self, registry: Registry, source: Source) -> None:
        kind = "application/vnd.docker.distribution.manifest.v1+prettyjws"
        registry.manifest("some/image", "1", kind, b'{"schemaVersion":1}')
        with pytest.raises(SchemaOne, match="no longer supported"):
            source("some/image:1").resolve()

    def test_an_index_that_grows_without_bounds_is_left(
        self, registry: Registry, source: Source
    ) -> None:
        rows: list[dict[str, object]] = []
        for level in range(12):
            document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": rows, "level": level}
            content = json.dumps(document).encode()
            digest = registry.manifest("some/image", f"l{level}", INDEX, content)
            rows = [{"mediaType": INDEX, "digest": digest, "size": len(content)}] * 10
        found = source("some/image:l11")
        with pytest.raises(LadingError):
            transfer.select(found, found.resolve(), Platform.of_host())
        assert len(registry.asked) < 300

    def test_foreign_layers_are_not_fetched_from_where_they_say(
        self, registry: Registry, box: Box, source: Source
    ) -> None:
        with served() as other:
            other.hooks.append(lambda h: bool(h.answer(200, LAYERS[0])) or True)
            registry.put("some/image", "1", LAYERS[:1])
            document = json.loads(registry.manifests["some/image", "1"][1])
            document["layers"][0] |= {
                "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar",
                "urls": [f"http://{other.host}/layer"],
            }
            registry.manifest("some/image", "1", MANIFEST, json.dumps(document).encode())
            del registry.blobs["some/image", sha256(LAYERS[0])]
            with pytest.raises(NotFound):
                pull(box, source("some/image:1"))
            assert other.asked == []


class TestSecrets:
    """28, 29 and 32: a login goes to its registry and nowhere else."""

    def basic(self, handler: Handler) -> bool:
        if handler.headers.get("Authorization"):
            return False
        handler.refuse(401, "UNAUTHORIZED", "authentication required",
                       WWW_Authenticate='Basic realm="x"')  # fmt: skip
        return True

    def test_a_redirect_to_another_server_carries_no_login(
        self, registry: Registry, box: Box, source: Source
    ) -> None:
        with served() as cdn:
            cdn.hooks.append(on("GET", "/cdn/", lambda h: h.answer(
                200, registry.blobs["some/image", h.path.rpartition("/")[2]])))  # fmt: skip
            registry.put("some/image", "1", LAYERS[:1])
            registry.hooks += [
                self.basic,
                on("GET", "blobs/", lambda h: h.answer(
                    307, Location=f"http://{cdn.host}/cdn/{h.path.rpartition('/')[2]}")),
            ]  # fmt: skip
            assert pull(box, source("some/image:1", ME))
            assert cdn.asked
            assert all(each.authorization == "" for each in cdn.asked)
            assert any(each.authorization for each in registry.asked)

    def test_a_redirect_within_the_registry_keeps_it(
        self, registry: Registry, box: Box, source: Source
    ) -> None:
        registry.put("some/image", "1", LAYERS[:1])
        digest = sha256(LAYERS[0])
        moved = f"/v2/moved/blobs/{digest}"
        registry.blobs["moved", digest] = LAYERS[0]
        registry.hooks += [
            self.basic,
            on("GET", f"some/image/blobs/{digest}", lambda h: h.answer(307, Location=moved)),
        ]
        assert pull(box, source("some/image:1", ME))
        assert all(each.authorization for each in registry.requests("GET", "/moved/"))

    def test_redirects_end(self, registry: Registry, source: Source) -> None:
        registry.hooks.append(on("GET", "manifests/", lambda h: h.answer(302, Location=h.path)))
        with pytest.raises(BadRedirect, match="too many"):
            source("some/image:1").resolve()

    @pytest.mark.parametrize("where", ["ftp://x/", "http://u:p@127.0.0.1:1/", "file:///etc/passwd"])
    def test_a_redirect_to_what_is_no_registry_is_not_followed(
        self, registry: Registry, source: Source, where: str
    ) -> None:
        registry.hooks.append(on("GET", "manifests/", lambda h: h.answer(302, Location=where)))
        with pytest.raises(BadRedirect):
            source("some/image:1").resolve()

    def test_a_realm_elsewhere_gets_nothing(self, registry: Registry, source: Source) -> None:
        with served() as evil:
            challenge = f'Bearer realm="http://{evil.host}/token",service="x"'
            registry.hooks.append(on("GET", "manifests/", lambda h: h.refuse(
                401, "UNAUTHORIZED", "authentication required",
                WWW_Authenticate=challenge)))  # fmt: skip
            for who in (ME, Credentials(identity_token="t")):
                with pytest.raises(UntrustedRealm, match="token-servers"):
                    source("some/image:1", who).resolve()
            assert evil.asked == []

    @pytest.mark.parametrize("step", ["POST", "PATCH"])
    def test_an_upload_is_not_sent_to_another_server(
        self, registry: Registry, repository: Repository, step: str
    ) -> None:
        with served() as evil:
            away = f"http://{evil.host}/upload"
            registry.hooks.append(
                on("PUT", "uploads/", lambda h: (h.body(), h.refuse(413, "SIZE_INVALID", "big")))
            )
            registry.hooks.append(
                on(step, "uploads/", lambda h: (h.body(), h.answer(202, Location=away)))
            )
            blob = Descriptor(LAYER, Digest.of(LAYERS[0]), len(LAYERS[0]))
            with pytest.raises(UploadLeadsAway):
                upload(repository, blob, lambda: _stream(LAYERS[0]))
            assert evil.asked == []

    @pytest.mark.parametrize(
        "location", ["", "https://{host}/u", "//evil.test/u", "http://x@{host}/u"]
    )
    def test_an_upload_goes_on_at_the_very_registry(
        self, registry: Registry, repository: Repository, location: str
    ) -> None:
        said = location.format(host=registry.host)
        registry.hooks.append(on("POST", "uploads/", lambda h: h.answer(202, Location=said)))
        blob = Descriptor(LAYER, Digest.of(LAYERS[0]), len(LAYERS[0]))
        with pytest.raises(UploadLeadsAway):
            upload(repository, blob, lambda: _stream(LAYERS[0]))


def _stream(content: bytes) -> BinaryIO:
    return io.BytesIO(content)


class TestAddresses:
    """31: plain HTTP by the address that is dialled."""

    @pytest.fixture
    def elsewhere(self) -> Iterator[Registry]:
        """A registry on an address of this host that is not loopback."""
        address = _own_address()
        if not address:
            pytest.skip("this host has no address but loopback")
        with served(Registry(address=address)) as registry:
            registry.put("some/image", "1", LAYERS[:1])
            yield registry

    def test_only_loopback_is_spoken_to_without_tls(
        self, elsewhere: Registry, configured: Registries
    ) -> None:
        reference = Reference.parse(f"{elsewhere.host}/some/image:1")
        remotes = Remotes(lambda: configured, QUICK)
        with remotes.source(reference, ME) as source, pytest.raises(Unavailable):
            source.resolve()
        assert elsewhere.asked == []

    def test_unless_the_host_is_named(self, elsewhere: Registry, tmp_path: Path) -> None:
        named = plain(tmp_path, insecure=[elsewhere.host])
        reference = Reference.parse(f"{elsewhere.host}/some/image:1")
        with Remotes(lambda: named, QUICK).source(reference) as source:
            assert source.resolve()

    def test_or_its_network(self, elsewhere: Registry, tmp_path: Path) -> None:
        named = plain(tmp_path, insecure=[f"{elsewhere.address}/32"])
        reference = Reference.parse(f"{elsewhere.host}/some/image:1")
        with Remotes(lambda: named, QUICK).source(reference) as source:
            assert source.resolve()

    @pytest.mark.parametrize("loopback_first", [True, False])
    def test_a_name_for_both_is_what_answers_there(
        self,
        elsewhere: Registry,
        configured: Registries,
        monkeypatch: pytest.MonkeyPatch,
        loopback_first: bool,
    ) -> None:
        """Nobody listens on loopback; the other address must not be spoken to in plain HTTP."""
        _resolve(
            monkeypatch, lambda n: ["127.0.0.1", elsewhere.address][:: 1 if loopback_first else -1]
        )
        reference = Reference.parse(f"both.test:{elsewhere.port}/some/image:1")
        remotes = Remotes(lambda: configured, QUICK)
        with remotes.source(reference, ME) as source, pytest.raises(Unavailable):
            source.resolve()
        assert elsewhere.asked == []

    def test_a_name_that_changes_in_between_is_noticed(
        self, elsewhere: Registry, configured: Registries, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with served(Registry(port=elsewhere.port)) as near:
            near.put("some/image", "1", LAYERS[:1])
            near.hooks.append(lambda h: h.headers.add_header("Connection", "close") or False)
            _resolve(monkeypatch, lambda n: ["127.0.0.1"] if n == 0 else [elsewhere.address])
            reference = Reference.parse(f"changing.test:{elsewhere.port}/some/image:1")
            remotes = Remotes(lambda: configured, QUICK)
            refused = pytest.raises((ForbiddenAddress, Unavailable))
            with remotes.source(reference, ME) as source, refused:
                source.resolve()
        assert elsewhere.asked == []


def _resolve(monkeypatch: pytest.MonkeyPatch, addresses: Callable[[int], list[str]]) -> None:
    """Have names that end in .test resolve to what *addresses* says for the nth question."""
    real = socket.getaddrinfo
    asked = [0]

    def resolve(host: str, port: int, *arguments: int, **options: int) -> list[object]:
        if not str(host).endswith(".test"):
            return list(real(host, port, *arguments, **options))
        found = addresses(asked[0])
        asked[0] += 1
        return [entry for a in found for entry in real(a, port, *arguments, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def _own_address() -> str:
    """An address of this host that is not loopback; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


class TestLists:
    """34: lists stay on their server, and end."""

    def link(self, registry: Registry, url: str) -> None:
        registry.hooks.append(on("GET", "tags/list", lambda h: h.answer(
            200, b'{"tags":["a"]}', Link=f'<{url}>; rel="next"')))  # fmt: skip

    def test_pages_are_followed(self, registry: Registry, source: Source) -> None:
        last = on("GET", "last=a", lambda h: h.answer(200, b'{"tags":["b"]}'))
        registry.hooks.append(last)
        self.link(registry, "/v2/some/image/tags/list?last=a")
        assert source("some/image").tags() == ["a", "b"]

    def test_another_server_is_not_asked(self, registry: Registry, source: Source) -> None:
        with served() as evil:
            self.link(registry, f"http://{evil.host}/v2/some/image/tags/list")
            with pytest.raises(BadPages, match="another server"):
                source("some/image").tags()
            assert evil.asked == []

    def test_a_circle_ends(self, registry: Registry, source: Source) -> None:
        self.link(registry, "/v2/some/image/tags/list?last=a")
        with pytest.raises(BadPages, match="circle"):
            source("some/image").tags()

    def test_a_list_without_an_end_ends(self, registry: Registry, source: Source) -> None:
        count = iter(range(10**6))

        def page(handler: Handler) -> None:
            link = f'</v2/some/image/tags/list?last={next(count)}>; rel="next"'
            handler.answer(200, b'{"tags":[]}', Link=link)

        registry.hooks.append(on("GET", "tags/list", page))
        with pytest.raises(BadPages, match="too many pages"):
            source("some/image").tags()


class TestBusyRegistries:
    """429 and 5xx."""

    def test_a_busy_registry_is_waited_for_as_long_as_it_asks(
        self, registry: Registry, source: Source
    ) -> None:
        registry.put("some/image", "1", LAYERS[:1])
        busy = on("GET", "manifests/", lambda h: h.refuse(
            429, "TOOMANYREQUESTS", "slow down", Retry_After="0"))  # fmt: skip
        registry.hooks.append(once(busy, 2))
        assert source("some/image:1").resolve()

    def test_one_that_asks_for_an_hour_is_told_of(self, registry: Registry, source: Source) -> None:
        registry.hooks.append(on("GET", "manifests/", lambda h: h.refuse(
            429, "TOOMANYREQUESTS", "slow down", Retry_After="3600")))  # fmt: skip
        with pytest.raises(TooManyRequests, match="try again in 3600 seconds"):
            source("some/image:1").resolve()

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_a_failing_one_is_asked_again(
        self, registry: Registry, source: Source, status: int
    ) -> None:
        registry.put("some/image", "1", LAYERS[:1])
        registry.hooks.append(once(on("GET", "manifests/", lambda h: h.answer(status)), 2))
        assert source("some/image:1").resolve()

    def test_a_broken_connection_is_tried_again(self, registry: Registry, source: Source) -> None:
        registry.put("some/image", "1", LAYERS[:1])
        registry.hooks.append(once(on("GET", "manifests/", lambda h: h.break_off())))
        assert source("some/image:1").resolve()

    def test_a_denied_pull_is_told_in_dockers_words(
        self, registry: Registry, source: Source
    ) -> None:
        registry.hooks.append(on("GET", "manifests/", lambda h: h.refuse(
            403, "DENIED", "requested access to the resource is denied")))  # fmt: skip
        with pytest.raises(PullDenied, match="may require 'docker login': denied: requested"):
            source("some/image:1").resolve()

    def test_a_missing_tag_is_told_in_dockers_words(
        self, registry: Registry, source: Source
    ) -> None:
        with pytest.raises(NotFound, match=r"manifest for .*some/image:9 not found: manifest unkn"):
            source("some/image:9").resolve()
