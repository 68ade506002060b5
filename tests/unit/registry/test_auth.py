"""Logging in, as a conversation without a wire."""

from __future__ import annotations

import base64
import io
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from lading.errors import Denied
from lading.registry.auth import Authorizer, NoCredentials, UntrustedRealm
from lading.registry.challenge import challenges
from lading.registry.credentials import ANONYMOUS, Credentials
from lading.registry.message import Conversation, Request, Response

BASE = "https://registry.example:5000"
ASKED = Request("GET", f"{BASE}/v2/some/manifests/1")
ME = Credentials("me", "secret")
BEARER = 'Bearer realm="{}",service="the one",scope="repository:some:pull"'


def answer(status: int, body: object = None, *, url: str = BASE, challenge: str = "") -> Response:
    headers = {"www-authenticate": challenge} if challenge else {}
    content = io.BytesIO(json.dumps(body or {}).encode())
    return Response(status, headers, content, url)


def challenged(authorizer: Authorizer, challenge: str) -> tuple[Conversation, Request]:
    """A conversation that was challenged, and what it asks next."""
    conversation = authorizer.ask(ASKED, "repository:some:pull")
    next(conversation)
    return conversation, conversation.send(answer(401, challenge=challenge))


def ended(conversation: Conversation, response: Response) -> Response:
    with pytest.raises(StopIteration) as done:
        conversation.send(response)
    found: Response = done.value.value
    return found


class TestChallenges:
    def test_several_are_read_with_their_parameters(self) -> None:
        found = challenges('Bearer realm="https://a/t?x=1,2",service="s", Basic realm="b"')
        assert [(c.scheme, dict(c.parameters)) for c in found] == [
            ("bearer", {"realm": "https://a/t?x=1,2", "service": "s"}),
            ("basic", {"realm": "b"}),
        ]

    @pytest.mark.parametrize("junk", ["", ",,,", 'Bearer realm="open', "=", "Bearer " * 5000])
    def test_junk_is_no_challenge_with_a_realm(self, junk: str) -> None:
        assert not any("realm" in c.parameters for c in challenges(junk))


class TestBasic:
    def test_nothing_is_sent_before_it_is_asked_for(self) -> None:
        conversation = Authorizer(BASE, ME).ask(ASKED, "")
        assert "Authorization" not in next(conversation).headers

    def test_name_and_password_go_to_the_registry_alone(self) -> None:
        _, again = challenged(Authorizer(BASE, ME), 'Basic realm="x"')
        assert again.url == ASKED.url
        assert again.headers["Authorization"] == "Basic " + base64.b64encode(b"me:secret").decode()

    def test_once_asked_for_they_are_sent_at_once(self) -> None:
        authorizer = Authorizer(BASE, ME)
        challenged(authorizer, 'Basic realm="x"')
        assert "Authorization" in next(authorizer.ask(ASKED, "")).headers

    def test_without_any_the_refusal_says_so(self) -> None:
        with pytest.raises(NoCredentials, match="no basic auth credentials"):
            challenged(Authorizer(BASE), 'Basic realm="x"')

    def test_a_challenge_from_elsewhere_is_not_answered(self) -> None:
        conversation = Authorizer(BASE, ME).ask(ASKED, "")
        next(conversation)
        elsewhere = answer(401, challenge='Basic realm="x"', url="https://cdn.example/blob")
        assert ended(conversation, elsewhere).status == 401


class TestBearer:
    def test_a_token_is_fetched_and_used_until_it_ends(self) -> None:
        now = [1000.0]
        authorizer = Authorizer(BASE, ME, clock=lambda: now[0])
        conversation, grant = challenged(authorizer, BEARER.format(f"{BASE}/token"))
        query = parse_qs(urlsplit(grant.url).query)
        assert query == {
            "service": ["the one"],
            "scope": ["repository:some:pull"],
            "account": ["me"],
        }
        again = conversation.send(answer(200, {"token": "abc", "expires_in": 300}))
        assert again.headers["Authorization"] == "Bearer abc"
        assert ended(conversation, answer(200)).status == 200
        later = next(authorizer.ask(ASKED, "repository:some:pull"))
        assert later.headers["Authorization"] == "Bearer abc"
        now[0] += 295
        assert "Authorization" not in next(authorizer.ask(ASKED, "repository:some:pull")).headers

    def test_another_scope_needs_another_token(self) -> None:
        authorizer = Authorizer(BASE)
        conversation, _ = challenged(authorizer, BEARER.format(f"{BASE}/token"))
        conversation.send(answer(200, {"access_token": "abc"}))
        assert "Authorization" not in next(authorizer.ask(ASKED, "repository:other:pull")).headers

    def test_a_refresh_token_is_sent_as_oauth2_wants_it(self) -> None:
        authorizer = Authorizer(BASE, Credentials(identity_token="refresh"))
        _, grant = challenged(authorizer, BEARER.format(f"{BASE}/token"))
        assert (grant.method, grant.url) == ("POST", f"{BASE}/token")
        assert grant.content is not None
        form = parse_qs(grant.content.open().read().decode())
        assert form["grant_type"] == ["refresh_token"]
        assert form["refresh_token"] == ["refresh"]
        assert "Authorization" not in grant.headers

    def test_a_login_asks_for_a_token_to_keep(self) -> None:
        authorizer = Authorizer(BASE, ME)
        conversation = authorizer.ask(Request("GET", f"{BASE}/v2/"), "")
        next(conversation)
        grant = conversation.send(answer(401, challenge=f'Bearer realm="{BASE}/token"'))
        assert parse_qs(urlsplit(grant.url).query)["offline_token"] == ["true"]
        conversation.send(answer(200, {"token": "abc", "refresh_token": "kept"}))
        assert authorizer.identity_token == "kept"

    @pytest.mark.parametrize("token", [None, "", 5, "a b", "a\r\nHost: x"])
    def test_what_is_no_token_is_refused(self, token: object) -> None:
        conversation, _ = challenged(Authorizer(BASE), BEARER.format(f"{BASE}/token"))
        with pytest.raises(Denied):
            conversation.send(answer(200, {"token": token}))

    def test_a_refused_login_is_told_in_the_servers_words(self) -> None:
        conversation, _ = challenged(Authorizer(BASE, ME), BEARER.format(f"{BASE}/token"))
        rows = {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}
        with pytest.raises(Denied, match="unauthorized: authentication required"):
            conversation.send(answer(401, rows))


class TestRealms:
    """HOSTILE 28: who may have a secret."""

    @pytest.mark.parametrize(
        "realm",
        [
            "http://registry.example:5000/token",  # the same, no longer encrypted
            "http://127.0.0.1:9/token",
            "https://127.0.0.1/token",
            "https://169.254.169.254/latest",
            "https://2130706433/token",
            "https://0x7f000001/token",
            "https://[::1]/token",
            "https://evil.example/token",
            "https://registry.example.evil.test/token",
            "https://example@evil.test/token",
            "https://registry.example:5000@evil.test/token",
            "https://xample/token",
            "ftp://registry.example/token",
            "file:///etc/passwd",
            "https:///token",
        ],
    )
    def test_a_secret_is_not_sent_elsewhere(self, realm: str) -> None:
        with pytest.raises(UntrustedRealm):
            challenged(Authorizer(BASE, ME), BEARER.format(realm))

    @pytest.mark.parametrize(
        "realm", ["http://evil.test/", "https://169.254.169.254/", "https://127.0.0.1/token"]
    )
    def test_nor_does_anybody_ask_there_without_one(self, realm: str) -> None:
        with pytest.raises(UntrustedRealm):
            challenged(Authorizer(BASE, ANONYMOUS), BEARER.format(realm))

    @pytest.mark.parametrize("realm", [f"{BASE}/token", "https://example.test/t"])
    def test_the_registry_itself_and_what_is_above_it_may_have_it(self, realm: str) -> None:
        base = BASE if realm.startswith(BASE) else "https://registry.example.test"
        conversation = Authorizer(base, ME).ask(Request("GET", f"{base}/v2/"), "")
        next(conversation)
        refused = answer(401, challenge=BEARER.format(realm), url=f"{base}/v2/")
        assert "Authorization" in conversation.send(refused).headers

    def test_dockers_own_is_known(self) -> None:
        base = "https://registry-1.docker.io"
        conversation = Authorizer(base, ME).ask(Request("GET", f"{base}/v2/"), "")
        next(conversation)
        challenge = BEARER.format("https://auth.docker.io/token")
        grant = conversation.send(answer(401, challenge=challenge, url=f"{base}/v2/"))
        assert "Authorization" in grant.headers

    def test_one_that_is_named_may_have_it(self) -> None:
        authorizer = Authorizer(BASE, ME, token_servers=frozenset({"evil.example"}))
        _, grant = challenged(authorizer, BEARER.format("https://evil.example/token"))
        assert "Authorization" in grant.headers

    def test_a_named_server_may_be_asked_for_an_anonymous_token(self) -> None:
        _, grant = challenged(Authorizer(BASE), BEARER.format("https://auth.other.example/t"))
        assert "Authorization" not in grant.headers
