"""Who gets in, what each may do, and what those see who may not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest

from registry_process import OCI_MANIFEST, Answer, Registry, basic, digest_of

ALICE = basic("alice", "alice's word")
BOB = basic("bob", "bob's word")
PATH = "/v2/team/app"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Alice may do all in team/, bob push to bob/ and pull team/open."""
    registry = Registry(tmp_path_factory.mktemp("registry"), "--login")
    rights = {"alice": ["pull,push,delete:team/*"], "bob": ["pull,push:bob/*", "pull:team/open"]}
    for name, texts in rights.items():
        flags = [word for text in texts for word in ("--right", text)]
        line = ("user", "--password-stdin", *flags, "add", name)
        done = registry.command(*line, stdin=f"{name}'s word\n")
        assert done.returncode == 0, done.stderr
    registry.start()
    yield registry
    registry.end(signal.SIGKILL)


def token_for(registry: Registry, who: Mapping[str, str], *scopes: str) -> str:
    query = urlencode([("service", "lading-registry"), *(("scope", s) for s in scopes)])
    answer = registry.ask("GET", f"/token?{query}", headers=who)
    assert answer.status == 200, answer
    return str(answer.json["token"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def push(registry: Registry, repository: str, content: bytes, who: Mapping[str, str]) -> Answer:
    return registry.ask(
        *("POST", f"/v2/{repository}/blobs/uploads/", content, who), digest=digest_of(content)
    )


class TestLogin:
    def test_without_credentials_the_challenge_says_where_to_go(self, registry: Registry) -> None:
        answer = registry.ask("GET", f"{PATH}/tags/list")
        assert (answer.status, answer.codes) == (401, ["UNAUTHORIZED"])
        assert answer["WWW-Authenticate"] == (
            f'Bearer realm="http://{registry.host}/token",service="lading-registry",'
            'scope="repository:team/app:pull"'
        )
        assert registry.ask("GET", "/v2/").status == 401

    def test_basic_is_enough(self, registry: Registry) -> None:
        assert registry.ask("GET", "/v2/", headers=ALICE).status == 200
        assert push(registry, "team/app", b"by basic", ALICE).status == 201

    def test_a_token_is_good_for_its_scope_alone(self, registry: Registry) -> None:
        token = token_for(registry, ALICE, "repository:team/app:pull,push")
        assert push(registry, "team/app", b"by token", bearer(token)).status == 201
        other = push(registry, "team/other", b"by token", bearer(token))
        assert (other.status, other.codes) == (401, ["UNAUTHORIZED"])
        gone = registry.ask(
            "DELETE", f"{PATH}/blobs/{digest_of(b'by token')}", headers=bearer(token)
        )
        assert gone.status == 401

    def test_a_token_grants_no_more_than_its_owner_has(self, registry: Registry) -> None:
        token = token_for(registry, BOB, "repository:team/app:*", "repository:team/open:pull")
        assert push(registry, "team/app", b"x", bearer(token)).status == 401
        listed = registry.ask("GET", "/v2/team/open/tags/list", headers=bearer(token))
        assert listed.codes == ["NAME_UNKNOWN"]

    def test_oauth2_by_POST(self, registry: Registry) -> None:
        form = {
            "grant_type": "password",
            "username": "alice",
            "password": "alice's word",
            "service": "lading-registry",
            "scope": "repository:team/app:pull",
        }
        answer = registry.ask("POST", "/token", urlencode(form).encode())
        token = answer.json["access_token"]
        assert registry.ask("GET", f"{PATH}/tags/list", headers=bearer(token)).status == 200

    def test_a_wrong_password_and_an_unknown_name_look_the_same(self, registry: Registry) -> None:
        wrong = registry.ask("GET", "/v2/", headers=basic("alice", "nonsense"))
        nobody = registry.ask("GET", "/v2/", headers=basic("nobody", "nonsense"))
        assert wrong.status == nobody.status == 401
        assert wrong.body == nobody.body

    @pytest.mark.parametrize("word", ["Basic", "Basic ???", "Bearer", "Bearer a.b.c", "Digest x"])
    def test_broken_credentials_are_401(self, registry: Registry, word: str) -> None:
        assert registry.ask("GET", "/v2/", headers={"Authorization": word}).status == 401

    def test_a_removed_user_is_out_at_once(self, registry: Registry) -> None:
        line = ("user", "--robot", "--right", "pull:team/*", "add", "robot")
        password = registry.command(*line).stdout.strip()
        assert len(password) > 40
        robot = basic("robot", password)
        token = token_for(registry, robot, "repository:team/app:pull")
        assert registry.ask("GET", f"{PATH}/tags/list", headers=bearer(token)).status == 200
        assert registry.command("user", "rm", "robot").returncode == 0
        for who in (robot, bearer(token)):
            assert registry.ask("GET", f"{PATH}/tags/list", headers=who).status == 401

    def test_the_list_of_users_has_no_passwords(self, registry: Registry) -> None:
        listed = registry.command("user", "ls").stdout
        assert "pull,push,delete:team/*" in listed
        assert "$2b$" not in listed


class TestForgedTokens:
    def forge(self, registry: Registry, header: Any = None, **claims: Any) -> str:
        """A token signed with the right key, but for what *header* and *claims* change."""
        key = (registry.root / "token.key").read_bytes()
        now = int(time.time())
        access = [{"type": "repository", "name": "team/app", "actions": ["pull"]}]
        body: dict[str, Any] = {"iss": "lading-registry", "aud": "lading-registry", "sub": "alice"}
        body.update({"exp": now + 100, "nbf": now, "iat": now, "access": access, "jti": "1"})
        body.update(claims)
        parts = [self._armour(json.dumps(part).encode())
                 for part in (header or {"alg": "HS256", "typ": "JWT"}, body)]  # fmt: skip
        text = ".".join(parts)
        mac = hmac.digest(key, text.encode(), hashlib.sha256)
        return f"{text}.{self._armour(mac)}"

    @staticmethod
    def _armour(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    def status(self, registry: Registry, token: str) -> int:
        return registry.ask("GET", f"{PATH}/tags/list", headers=bearer(token)).status

    def test_an_honest_one_is_good(self, registry: Registry) -> None:
        push(registry, "team/app", b"something", ALICE)
        assert self.status(registry, self.forge(registry)) == 200

    @pytest.mark.parametrize(
        "claims",
        [
            {"aud": "another"},
            {"iss": "another"},
            {"exp": 1},
            {"nbf": 1 << 40, "exp": 1 << 41},
            {"exp": 1 << 40},
            {"sub": "nobody"},
            {"access": "everything"},
            {"access": []},
        ],
        ids=str,
    )
    def test_wrong_claims_are_401(self, registry: Registry, claims: dict[str, Any]) -> None:
        assert self.status(registry, self.forge(registry, **claims)) == 401

    @pytest.mark.parametrize(
        "header",
        [
            {"alg": "none", "typ": "JWT"},
            {"alg": "HS512", "typ": "JWT"},
            {"alg": "HS256", "typ": "JWT", "jwk": {"kty": "oct", "k": "AAAA"}},
            {"alg": "HS256", "typ": "JWT", "kid": "../../dev/null"},
        ],
        ids=str,
    )
    def test_other_headers_are_401(self, registry: Registry, header: dict[str, Any]) -> None:
        assert self.status(registry, self.forge(registry, header)) == 401

    def test_without_or_with_another_signature_it_is_401(self, registry: Registry) -> None:
        head, body, mac = self.forge(registry).split(".")
        other = ("A" if mac[0] != "A" else "B") + mac[1:]
        for token in (f"{head}.{body}.", f"{head}.{body}", f"{head}.{body}.{other}"):
            assert self.status(registry, token) == 401


class TestRights:
    def test_what_one_may_not_do_is_403(self, registry: Registry) -> None:
        answer = push(registry, "team/app", b"x", BOB)
        assert (answer.status, answer.codes) == (403, ["DENIED"])

    def test_a_mount_from_a_secret_repository_tells_nothing(self, registry: Registry) -> None:
        secret = b"the secret layer"
        push(registry, "team/app", secret, ALICE)
        answers = [
            registry.ask(
                *("POST", "/v2/bob/own/blobs/uploads/", b"", BOB),
                mount=digest,
                **({"from": source} if source else {}),
            )
            for digest in (digest_of(secret), digest_of(b"never pushed"))
            for source in ("team/app", "")
        ]
        assert [answer.status for answer in answers] == [202] * 4
        got = registry.ask("GET", f"/v2/bob/own/blobs/{digest_of(secret)}", headers=BOB)
        assert got.status == 404

    def test_a_mount_from_where_one_may_pull_works(self, registry: Registry) -> None:
        push(registry, "team/open", b"open layer", ALICE)
        digest = digest_of(b"open layer")
        answer = registry.ask(
            *("POST", "/v2/bob/own/blobs/uploads/", b"", BOB),
            mount=digest,
            **{"from": "team/open"},
        )
        assert answer.status == 201

    def test_an_upload_belongs_to_its_user(self, registry: Registry) -> None:
        registry.command(
            *("user", "--password-stdin", "--right", "pull,push:team/*", "add", "carol"),
            stdin="carol's word",
        )
        carol = basic("carol", "carol's word")
        location = registry.ask("POST", f"{PATH}/blobs/uploads/", headers=ALICE)["Location"]
        for method in ("GET", "PATCH", "PUT", "DELETE"):
            answer = registry.ask(method, location, b"x", carol, digest=digest_of(b"x"))
            assert answer.codes == ["BLOB_UPLOAD_UNKNOWN"]
        assert registry.ask("GET", location, headers=ALICE).status == 204

    @pytest.mark.parametrize("id", ["..", "%2e%2e%2f%2e%2e", "x" * 48, "0" * 48])
    def test_a_guessed_upload_is_404(self, registry: Registry, id: str) -> None:
        answer = registry.ask("PATCH", f"{PATH}/blobs/uploads/{id}", b"x", ALICE)
        assert answer.status in (400, 404)

    def test_the_catalog_shows_what_one_may_pull(self, registry: Registry) -> None:
        push(registry, "team/app", b"x", ALICE)
        push(registry, "bob/own", b"x", BOB)
        found = registry.ask("GET", "/v2/_catalog", headers=BOB).json["repositories"]
        assert "bob/own" in found
        assert "team/app" not in found

    def test_a_user_may_keep_no_more_than_his_quota(self, registry: Registry) -> None:
        registry.command(
            *("user", "--password-stdin", "--quota", "5k", "add", "small"), stdin="small's word"
        )
        small = basic("small", "small's word")
        assert push(registry, "small/one", os.urandom(4000), small).status == 201
        assert push(registry, "small/two", os.urandom(4000), small).status == 403

    def test_metrics_are_for_users(self, registry: Registry) -> None:
        assert registry.ask("GET", "/metrics").status == 401
        text = registry.ask("GET", "/metrics", headers=ALICE).body.decode()
        assert re.search(r"^lading_registry_blobs \d+$", text, re.MULTILINE)

    def test_what_changes_something_is_written_down(self, registry: Registry) -> None:
        push(registry, "team/app", b"audited", ALICE)
        push(registry, "team/app", b"x", BOB)
        lines = [
            json.loads(line) for line in (registry.root / "audit.log").read_text().splitlines()
        ]
        pushed = [line for line in lines if line.get("digest") == digest_of(b"audited")]
        assert pushed[0]["user"] == "alice"
        assert pushed[0]["name"] == "team/app"
        assert any(line["event"] == "denied" and line["user"] == "bob" for line in lines)
        assert "word" not in (registry.root / "audit.log").read_text()


class TestStarts:
    def refused(self, tmp_path: Path, *arguments: str) -> str:
        done = Registry(tmp_path).command("serve", *arguments)
        assert done.returncode == 1
        return done.stderr

    def test_elsewhere_than_on_loopback_it_wants_users(self, tmp_path: Path) -> None:
        told = self.refused(tmp_path, "--addr", "0.0.0.0:0")
        assert f"lading registry user add --root {tmp_path / 'registry'} NAME" in told

    def test_elsewhere_than_on_loopback_it_wants_tls(self, tmp_path: Path) -> None:
        registry = Registry(tmp_path)
        registry.command("user", "--robot", "add", "someone")
        assert "--tls-cert" in registry.command("serve", "--addr", "0.0.0.0:0").stderr

    def test_on_loopback_everybody_may_do_everything(self, tmp_path: Path) -> None:
        registry = Registry(tmp_path)
        registry.start()
        try:
            digest = registry.push_blob("any/thing", b"x")
            assert registry.ask("DELETE", f"/v2/any/thing/blobs/{digest}").status == 202
        finally:
            registry.end()

    def test_a_web_page_from_elsewhere_changes_nothing(self, tmp_path: Path) -> None:
        registry = Registry(tmp_path)
        registry.start()
        try:
            digest = registry.push_blob("any/thing", b"x")
            headers = {"Origin": "http://evil.example"}
            gone = registry.ask("DELETE", f"/v2/any/thing/blobs/{digest}", headers=headers)
            assert gone.status == 403
        finally:
            registry.end()

    def test_anonymous_pull_is_an_option(self, tmp_path: Path) -> None:
        registry = Registry(tmp_path, "--anonymous-pull")
        line = ("user", "--password-stdin", "add", "alice")
        registry.command(*line, stdin="alice's word")
        registry.start()
        try:
            assert push(registry, "any/thing", b"x", ALICE).status == 201
            path = f"/v2/any/thing/blobs/{digest_of(b'x')}"
            assert registry.ask("GET", path).body == b"x"
            token = token_for(registry, {}, "repository:any/thing:pull,push")
            assert registry.ask("GET", path, headers=bearer(token)).body == b"x"
            assert push(registry, "any/thing", b"y", bearer(token)).status == 401
            assert push(registry, "any/thing", b"y", {}).status == 401
            assert registry.ask("GET", "/v2/").status == 401  # or clients would never log in
        finally:
            registry.end()

    def test_htpasswd_and_a_limit_on_failures(self, tmp_path: Path) -> None:
        registry = Registry(tmp_path, "--htpasswd", str(tmp_path / "htpasswd"))
        from lading.registry.server.users import hashed

        kept = hashed("dave's word", rounds=4).decode().replace("$2b$", "$2y$")
        (tmp_path / "htpasswd").write_text(f"# users\ndave:{kept}\n")
        registry.start()
        try:
            assert registry.ask("GET", "/v2/", headers=basic("dave", "dave's word")).status == 200
            for number in range(10):
                answer = registry.ask("GET", "/v2/", headers=basic("dave", f"guess {number}"))
                assert answer.status == 401
            late = registry.ask("GET", "/v2/", headers=basic("dave", "guess again"))
            assert (late.status, late.codes) == (429, ["TOOMANYREQUESTS"])
            assert 0 < int(late["Retry-After"]) <= 61
        finally:
            registry.end()

    def test_tls(self, tmp_path: Path) -> None:
        cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
                *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
                *("-keyout", str(key), "-out", str(cert)),
            ],
            check=True,
            capture_output=True,
        )
        registry = Registry(tmp_path, "--tls-cert", str(cert), "--tls-key", str(key))
        registry.start()
        try:
            context = ssl.create_default_context(cafile=str(cert))
            content = os.urandom(3 << 20)
            path = f"/v2/a/blobs/uploads/?digest={digest_of(content)}"
            with self.secured(registry, context) as client:
                head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}"
                client.sendall(f"{head}\r\n\r\n".encode() + content)
                assert client.recv(100).startswith(b"HTTP/1.1 201")
            with self.secured(registry, context) as client:
                head = f"GET /v2/a/blobs/{digest_of(content)} HTTP/1.1\r\nHost: x"
                client.sendall(f"{head}\r\nConnection: close\r\n\r\n".encode())
                got = b"".join(iter(lambda: client.recv(1 << 16), b""))
            assert got.endswith(content)
        finally:
            registry.end()

    @staticmethod
    def secured(registry: Registry, context: ssl.SSLContext) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", registry.port))
        return context.wrap_socket(plain, server_hostname="127.0.0.1")


class TestWire:
    def speak(self, registry: Registry, text: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", registry.port), timeout=10) as client:
            client.sendall(text)
            return b"".join(iter(lambda: client.recv(65536), b""))

    def test_a_length_and_chunks_at_once_are_400(self, registry: Registry) -> None:
        word = ALICE["Authorization"].encode()
        said = self.speak(
            registry,
            b"POST /v2/team/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nAuthorization: " + word
            + b"\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n",
        )  # fmt: skip
        assert said.split()[1] == b"400"
        assert said.count(b"HTTP/1.") == 1

    def test_a_manifest_of_5_GiB_is_refused_before_it_comes(self, registry: Registry) -> None:
        word = ALICE["Authorization"].encode()
        said = self.speak(
            registry,
            b"PUT /v2/team/app/manifests/big HTTP/1.1\r\nHost: x\r\nAuthorization: " + word
            + b"\r\nContent-Type: " + OCI_MANIFEST.encode()
            + b"\r\nContent-Length: 5368709120\r\n\r\n",
        )  # fmt: skip
        assert said.startswith(b"HTTP/1.1 413")

    def test_it_says_go_on_only_to_those_who_may(self, registry: Registry) -> None:
        word = ALICE["Authorization"].encode()
        path = f"/v2/team/app/blobs/uploads/?digest={digest_of(b'hello')}".encode()
        head = b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
        with socket.create_connection(("127.0.0.1", registry.port), timeout=10) as client:
            client.sendall(head + b"Content-Length: 5\r\nAuthorization: " + word + b"\r\n\r\n")
            assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(b"hello")
            assert client.recv(1000).startswith(b"HTTP/1.1 201")
        with socket.create_connection(("127.0.0.1", registry.port), timeout=10) as client:
            client.sendall(head + b"Content-Length: 5\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 401")


class TestPages:
    """What a browser without scripts sees."""

    @pytest.fixture
    def image(self, registry: Registry) -> str:
        """Push an image with a history that wants to be HTML; its tag."""
        parts = {"config": b"", "layer": os.urandom(100)}
        config = {
            "os": "linux",
            "architecture": "amd64",
            "rootfs": {"type": "layers", "diff_ids": [digest_of(b"d")]},
            "history": [
                {"created_by": "ADD <script>alert(1)</script> /"},
                {"created_by": "CMD sh", "empty_layer": True},
            ],
        }
        parts["config"] = json.dumps(config).encode()
        for content in parts.values():
            assert push(registry, "team/app", content, ALICE).status == 201
        kinds = {"config": "application/vnd.oci.image.config.v1+json",
                 "layer": "application/vnd.oci.image.layer.v1.tar"}  # fmt: skip
        rows = {
            name: {"mediaType": kinds[name], "digest": digest_of(content), "size": len(content)}
            for name, content in parts.items()
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": rows["config"],
            "layers": [rows["layer"]],
        }
        headers = {**ALICE, "Content-Type": OCI_MANIFEST}
        for tag in ("page", "twin"):
            raw = json.dumps({**manifest, "annotations": {"tag": tag}}).encode()
            path = f"{PATH}/manifests/{tag}"
            assert registry.ask("PUT", path, raw, headers).status == 201
        return "page"

    def see(self, registry: Registry, path: str, who: Mapping[str, str] = ALICE) -> Answer:
        return registry.ask("GET", path, headers=who)

    def test_a_browser_is_asked_for_a_password(self, registry: Registry) -> None:
        answer = registry.ask("GET", "/")
        assert (answer.status, answer["WWW-Authenticate"]) == (401, 'Basic realm="lading registry"')

    def test_the_front_lists_and_searches(self, registry: Registry, image: str) -> None:
        assert b"team/app" in self.see(registry, "/").body
        assert b"team/app" not in self.see(registry, "/?search=nothing").body
        assert b"team/app" not in self.see(registry, "/", BOB).body

    def test_an_image_shows_its_layers_and_quotes_what_is_hostile(
        self, registry: Registry, image: str
    ) -> None:
        answer = self.see(registry, f"/image?name=team/app&reference={image}")
        text = answer.body.decode()
        assert answer.status == 200
        assert "ADD &lt;script&gt;alert(1)&lt;/script&gt; /" in text
        assert "<script" not in text
        assert "shared with team/app:twin" in text
        assert f"docker pull {registry.host}/team/app:page" in text
        policy = answer["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "script" not in policy

    def test_others_do_not_see_it(self, registry: Registry, image: str) -> None:
        for path in ("/repository?name=team/app", "/image?name=team/app&reference=page"):
            assert self.see(registry, path, BOB).status == 403

    def test_deleting_takes_a_confirmation_from_here(self, registry: Registry, image: str) -> None:
        where = "name=team/app&reference=page"
        page = self.see(registry, f"/delete?{where}").body.decode()
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page))
        forged = urlencode({**fields, "seal": "0" * 64}).encode()
        assert registry.ask("POST", "/delete", forged, ALICE).status == 403
        assert registry.ask("POST", "/delete", urlencode(fields).encode(), BOB).status == 403
        done = registry.ask("POST", "/delete", urlencode(fields).encode(), ALICE)
        assert done.status == 303
        assert parse_qs(done["Location"].partition("?")[2]) == {"name": ["team/app"]}
        assert self.see(registry, f"/image?{where}").status == 404

    def test_the_style_needs_no_other_host(self, registry: Registry) -> None:
        style = self.see(registry, "/style.css").body.decode()
        assert "prefers-color-scheme: dark" in style
        assert "url(" not in style
