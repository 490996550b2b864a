"""Tags of a registry: pages, tokens, logins, and registries that do not behave."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from openab_sop import redact
from openab_sop.errors import NotAsked, SourceError
from openab_sop.targets import registry
from openab_sop.targets.registry import Registry
from tests.served import Asked, Says, Server, serving

TAGS = [f"0.{minor}.0" for minor in range(7)]
LIST = "/v2/charts/openab/tags/list"


@pytest.fixture(autouse=True)
def no_logins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Nobody is logged in; the file in which helm would keep a login."""
    config = tmp_path / "config.json"
    monkeypatch.setenv("HELM_REGISTRY_CONFIG", str(config))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return config


def tags(server: Server) -> list[str]:
    return Registry.at(server.host).tags("charts/openab")


def paged(asked: Asked) -> Says:
    """Three tags a page, the next by the Link header, whatever the client asks for."""
    start = int(asked.query.get("last", "0"))
    more = {"Link": f'<{LIST}?n=3&last={start + 3}>; rel="next"'} if start + 3 < len(TAGS) else {}
    return Says({"name": "charts/openab", "tags": TAGS[start : start + 3]}, headers=more)


def guarded(
    then: Callable[[Asked], Says], realm: str = "", token: str = "t0ken-of-the-registry"
) -> Callable[[Asked], Says]:
    """Ask for a token, and give it to anybody."""

    def answer(asked: Asked) -> Says:
        if asked.path == "/token":
            return Says({"token": token})
        if asked.headers.get("Authorization") != f"Bearer {token}":
            where = realm or f"http://{asked.headers['Host']}/token"
            scope = "repository:charts/openab:pull"
            return Says(
                status=401, headers={"WWW-Authenticate": f'Bearer realm="{where}",service="reg",scope="{scope}"'}
            )
        return then(asked)

    return answer


def test_all_pages_are_read() -> None:
    with serving(paged) as server:
        assert tags(server) == TAGS
        assert [asked.query["n"] for asked in server.asked] == ["1000", "3", "3"]


def test_a_public_registry_gives_a_token_to_anybody() -> None:
    with serving(guarded(paged)) as server:
        assert tags(server) == TAGS
        assert server.paths() == [LIST, "/token", LIST, LIST, LIST], "one token for all pages"
        asked = server.asked[1]
        assert asked.query == {"service": "reg", "scope": "repository:charts/openab:pull"}
        assert "Authorization" not in asked.headers
    assert "t0ken-of-the-registry" not in redact.mask("x t0ken-of-the-registry y")


@pytest.mark.parametrize(
    "login", [{"auth": b64encode(b"me:s3cret-word").decode()}, {"username": "me", "password": "s3cret-word"}]
)
def test_a_login_of_helm_is_used(login: dict[str, str], no_logins: Path) -> None:
    with serving(guarded(paged)) as server:
        no_logins.write_text(json.dumps({"auths": {server.host: login}}))
        assert tags(server) == TAGS
        assert server.asked[1].headers["Authorization"] == f"Basic {b64encode(b'me:s3cret-word').decode()}"


def test_a_login_goes_to_its_own_registry_only(no_logins: Path) -> None:
    no_logins.write_text(json.dumps({"auths": {"ghcr.io": {"auth": "bWU6czNjcmV0"}}}))
    with serving(guarded(paged)) as server:
        tags(server)
        assert "Authorization" not in server.asked[1].headers


def test_a_login_goes_to_no_server_for_tokens_but_the_registry_s_own(no_logins: Path) -> None:
    """Whoever can change the answer of a registry names where its readers get a token."""
    with serving(guarded(paged)) as other:
        realm = f"http://localhost:{other.host.rpartition(':')[2]}/token"
        with serving(guarded(paged, realm)) as server:
            no_logins.write_text(json.dumps({"auths": {server.host: {"auth": "bWU6czNjcmV0LXdvcmQ="}}}))
            assert tags(server) == TAGS, "it is asked as anybody asks"
        assert other.paths() == ["/token"]
        assert "Authorization" not in other.asked[0].headers


def test_a_login_does_not_follow_a_redirect(no_logins: Path) -> None:
    def leads_away(asked: Asked) -> Says:
        if asked.path == "/token":
            return Says(status=307, headers={"Location": f"{other.url}/token"})
        return guarded(paged)(asked)

    with serving(guarded(paged)) as other, serving(leads_away) as server:
        no_logins.write_text(json.dumps({"auths": {server.host: {"auth": "bWU6czNjcmV0LXdvcmQ="}}}))
        assert tags(server) == TAGS
        assert server.asked[1].headers["Authorization"] == "Basic bWU6czNjcmV0LXdvcmQ="
        assert "Authorization" not in other.asked[0].headers


@pytest.mark.parametrize(
    ("realm", "at", "its_own"),
    [
        ("ghcr.io", "ghcr.io", True),
        ("auth.docker.io", "registry-1.docker.io", True),
        ("gitlab.com", "registry.gitlab.com", True),
        ("gitlab.example.org", "registry.example.org", True),
        ("auth.docker.io", "docker.io", False),  # below a name alone, io, are strangers
        ("evil.io", "ghcr.io", False),
        ("ghcr.io.evil.example", "ghcr.io", False),
        ("evildocker.io", "registry-1.docker.io", False),
        ("evil.co.uk", "registry.co.uk", False),
        ("evil.azurecr.io", "mine.azurecr.io", False),
        ("10.0.0.6", "10.0.0.5", False),
        ("1.0.0.5", "10.0.0.5", False),
        ("fd00::1", "fd00::2", False),
        ("", "localhost", False),
    ],
)
def test_whose_server_for_tokens_it_is(realm: str, at: str, its_own: bool) -> None:
    assert registry.belongs(realm, at) == its_own


@pytest.mark.parametrize("realm", ["http://169.254.169.254/latest", "http://10.0.0.1/token"])
def test_no_registry_has_this_machine_ask_others_inside(realm: str) -> None:
    with serving(guarded(paged, realm)) as server, pytest.raises(NotAsked, match="not asked: internal address"):
        tags(server)


@pytest.mark.parametrize(
    ("repository", "reference"),
    [
        ("../../admin", "x"),
        ("x/../../admin", "x"),
        ("x?y", "z"),
        ("x", "y/../../z"),
        ("x", "?a=b"),
        ("x", ""),
        ("", "x"),
        ("x y", "z"),
        ("x", "sha256:../.."),
        ("X", "y"),
    ],
)
def test_a_name_of_an_image_is_no_path_to_something_else(repository: str, reference: str) -> None:
    with serving(lambda _: Says()) as server:
        with pytest.raises(SourceError, match="no registry has such names"):
            Registry.at(server.host).has(repository, reference)
        assert server.asked == []


@pytest.mark.parametrize("host", ["", "a b", "a/b", "me@host", "host#", "host?", "host:x", "[::1", "-x", "host\n"])
def test_what_is_no_host_is_no_registry(host: str) -> None:
    with pytest.raises(SourceError, match="is no host"):
        Registry.at(host)


def test_basic_authentication(no_logins: Path) -> None:
    def answer(asked: Asked) -> Says:
        known = asked.headers.get("Authorization") == "Basic bWU6czNjcmV0LXdvcmQ="
        return paged(asked) if known else Says(status=401, headers={"WWW-Authenticate": "Basic realm=x"})

    with serving(answer) as server:
        with pytest.raises(SourceError, match="may not be read"):
            tags(server)
        no_logins.write_text(json.dumps({"auths": {server.host: {"auth": "bWU6czNjcmV0LXdvcmQ="}}}))
        assert tags(server) == TAGS


def link(to: str) -> Says:
    return Says({"tags": ["0.1.0"]}, headers={"Link": f'<{to}>; rel="next"'})


HOSTILE: dict[str, tuple[Callable[[Asked], Says], str]] = {
    "unknown": (lambda _: Says({"errors": []}, 404), "does not exist"),
    "refuses": (lambda _: Says(status=401), "may not be read"),
    "fails": (lambda _: Says(status=503), "answers with status 503"),
    "is no registry": (lambda _: Says(b"<html>"), "does not answer with JSON"),
    "is a list": (lambda _: Says(["0.1.0"]), "answers as no registry does"),
    "lists a text": (lambda _: Says({"tags": "0.1.0"}), "lists no tags"),
    "has no last page": (lambda _: link(LIST), "has no last page"),
    "sends elsewhere": (lambda _: link("http://127.0.0.1:9/v2/x"), "to another host"),
    "sends to a file": (lambda _: link("file:///etc/passwd"), "to another host"),
    "token from a file": (guarded(paged, "file:///etc/passwd"), "for a token"),
    "token of two lines": (guarded(paged, token="a\r\nX-Evil: 1"), "gives no token"),
    "no token at all": (guarded(paged, token=""), "gives no token"),
    "is too large": (lambda _: Says({"tags": ["0.1.0"] * 200_000}), "more than"),
}


@pytest.mark.parametrize(("answer", "told"), HOSTILE.values(), ids=HOSTILE)
def test_a_registry_that_does_not_behave_is_told(answer: Callable[[Asked], Says], told: str) -> None:
    with serving(answer) as server, pytest.raises(SourceError, match=told) as error:
        tags(server)
    assert len(server.asked) <= registry.MOST_PAGES
    assert "\n  next: " in str(error.value)


MANIFEST = "/v2/charts/openab/manifests/0.8.1"
INDEX = "application/vnd.oci.image.index.v1+json"


def manifest(asked: Asked) -> Says:
    """The manifest of one tag, to those only who take its kind: so registries do."""
    there = asked.path == MANIFEST and INDEX in asked.headers.get("Accept", "")
    return Says({"mediaType": INDEX}) if there else Says({"errors": [{"code": "MANIFEST_UNKNOWN"}]}, 404)


def test_what_a_tag_names_is_there_or_not() -> None:
    with serving(manifest) as server:
        assert Registry.at(server.host).has("charts/openab", "0.8.1")
        assert not Registry.at(server.host).has("charts/openab", "0.8.2")
        assert not Registry.at(server.host).has("charts/another", "0.8.1")
        kinds = server.asked[0].headers["Accept"].split(", ")
        assert {kind.split(".")[1] for kind in kinds} == {"oci", "docker"}, "indexes and manifests of both families"


def test_a_token_is_got_for_a_manifest_too() -> None:
    with serving(guarded(manifest)) as server:
        one = Registry.at(server.host)
        assert one.has("charts/openab", "0.8.1")
        assert server.paths() == [MANIFEST, "/token", MANIFEST]
        assert INDEX in server.asked[2].headers["Accept"]
        assert not one.has("charts/openab", "0.8.2")
        assert server.paths()[3:] == ["/v2/charts/openab/manifests/0.8.2"], "the token is kept"


@pytest.mark.parametrize(("status", "told"), [(401, "may not be read"), (403, "may not be read"), (500, "status 500")])
def test_a_registry_that_refuses_tells_nothing_of_an_image(status: int, told: str) -> None:
    with serving(lambda _: Says(status=status)) as server, pytest.raises(SourceError, match=told):
        Registry.at(server.host).has("charts/openab", "0.8.1")


def test_what_is_no_tag_is_passed_over() -> None:
    with serving(lambda _: Says({"tags": ["0.1.0", 7, None, {}]})) as server:
        assert tags(server) == ["0.1.0"]
    with serving(lambda _: Says({"name": "charts/openab", "tags": None})) as server:
        assert tags(server) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"auths": 3}', '{"auths": {"HOST": "x"}}', '{"credsStore": "pass"}'])
def test_a_damaged_login_file_is_no_login(text: str, no_logins: Path) -> None:
    with serving(guarded(paged)) as server:
        no_logins.write_text(text.replace("HOST", server.host))
        assert tags(server) == TAGS


@pytest.fixture(autouse=True)
def few_pages(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A small bound is reached sooner."""
    monkeypatch.setattr(registry, "MOST_PAGES", 20)
    yield
