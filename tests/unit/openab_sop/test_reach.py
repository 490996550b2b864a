"""This machine asks nobody inside for what a chart, a registry or a redirect names (issue 14)."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from openab_sop.errors import NotAsked, SourceError
from openab_sop.targets import reach, web
from openab_sop.targets.reach import Internal, Kind, Reach, kind, origin
from tests.served import Asked, Says, serving

NOBODY = frozenset[tuple[str, int]]()
METADATA = "http://169.254.169.254/latest/meta-data/iam"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names stand for, the next lookup's addresses first; what was looked up is gone."""
    real, known = socket.getaddrinfo, dict[str, list[str]]()

    def getaddrinfo(host: Any, port: Any, *given: Any, **more: Any) -> list[Any]:
        if host.replace(".", "").isdigit() or ":" in host:
            return real(host, port, *given, **more)
        if not known.get(host):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in known[host].pop(0).split()]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("140.82.112.3", Kind.PUBLIC),
        ("2606:4700::1111", Kind.PUBLIC),
        ("::ffff:8.8.8.8", Kind.PUBLIC),
        ("64:ff9b::808:808", Kind.PUBLIC),
        *((a, Kind.PRIVATE) for a in ("10.0.0.1", "172.16.3.1", "192.168.1.1", "100.64.0.1", "fc00::1", "240.0.0.1")),
        *((a, Kind.PRIVATE) for a in ("::ffff:10.0.0.1", "64:ff9b:1::a9fe:a9fe", "2002:a00:1::1", "198.18.0.1")),
        *((a, Kind.LOOPBACK) for a in ("127.0.0.1", "127.9.9.9", "0.0.0.0", "::", "::1", "::ffff:127.0.0.1")),
        *((a, Kind.LINK_LOCAL) for a in ("169.254.169.254", "fd00:ec2::254", "fe80::1%eth0", "::ffff:169.254.169.254")),
        *((a, Kind.LINK_LOCAL) for a in ("64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "224.0.0.1", "168.63.129.16")),
    ],
)
def test_what_an_address_is(address: str, what: Kind) -> None:
    assert kind(address) == what


def test_an_internal_host_that_nobody_has_named_is_not_asked() -> None:
    with serving(lambda _: Says(b"secret")) as server:
        for host in ("127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]"):
            with pytest.raises(NotAsked, match=r"not asked: internal address: .* this machine's own"):
                web.get(f"{server.url.replace('127.0.0.1', host)}/x", reach=Reach(NOBODY))
        assert server.asked == []
        assert web.get(f"{server.url}/x", reach=Reach.of([server.url])).body == b"secret"
        with pytest.raises(NotAsked):
            web.get(f"{server.url}/x", reach=Reach.of(["http://127.0.0.1:1"]))  # another port is another server


@pytest.mark.parametrize("to", [METADATA, "http://10.1.2.3/x", "http://[fd00:ec2::254]/x", "http://[fe80::1]/x"])
def test_where_a_redirect_leads_is_judged_too(to: str) -> None:
    leads = Says(status=302, headers={"Location": to})
    with serving(lambda _: leads) as server, pytest.raises(NotAsked, match="not asked: internal address"):
        web.get(f"{server.url}/x")


def test_an_internal_source_may_lead_to_its_own_like(names: dict[str, list[str]]) -> None:
    def answer(asked: Asked) -> Says:
        there = asked.path == "/there"
        return Says(b"there") if there else Says(status=302, headers={"Location": f"{other.url}/there"})

    with serving(answer) as server, serving(answer) as other:
        assert web.get(server.url).body == b"there"
        names["public.example"] = ["127.0.0.1"]
        url = server.url.replace("127.0.0.1", "public.example")
        asked = len(other.asked)
        with pytest.MonkeyPatch.context() as patch:
            before = dict.fromkeys(["127.0.0.1"], Kind.PUBLIC)
            patch.setattr(reach, "kind", lambda address: before.pop(address, Kind.LOOPBACK))  # type: ignore[misc]
            with pytest.raises(NotAsked):
                web.get(url)
        assert len(other.asked) == asked


def test_a_name_is_looked_up_once(names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """What was judged is what is connected to: the next answer of the name server would be another address."""
    with serving(lambda _: Says(b"judged")) as server:
        names["rebind.example"] = ["127.0.0.1", "10.0.0.1"]
        monkeypatch.setattr(reach, "kind", {"127.0.0.1": Kind.PUBLIC, "10.0.0.1": Kind.PRIVATE}.__getitem__)
        url = server.url.replace("127.0.0.1", "rebind.example")
        assert web.get(url, reach=Reach(NOBODY)).body == b"judged"
        assert server.asked[0].headers["Host"].startswith("rebind.example")
        with pytest.raises(NotAsked, match=r"rebind.example is 10\.0\.0\.1, which is private"):
            web.get(url, reach=Reach(NOBODY))


def test_of_several_addresses_only_those_that_may_be_are_asked(names: dict[str, list[str]]) -> None:
    names["both.example"] = ["10.0.0.1 169.254.169.254", "10.0.0.1 169.254.169.254"]
    with pytest.raises(Internal, match=r"both\.example"):
        Reach(NOBODY).connect(("both.example", 443), 1)
    with pytest.raises(Internal):
        Reach(NOBODY).require("both.example", 443)


def test_a_proxy_is_not_asked_for_them_either(names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda _: Says(b"by proxy")) as proxy:
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        names["inside.example"] = ["10.0.0.1"] * 3
        names["mixed.example"] = ["140.82.112.3 10.0.0.1"]
        for host in ("inside.example", "mixed.example", "unknown.example", "169.254.169.254"):
            for scheme in ("http", "https"):
                with pytest.raises(NotAsked, match="not asked"):
                    web.get(f"{scheme}://{host}/x", reach=Reach(NOBODY))
        assert proxy.asked == []
        names["public.example"] = ["140.82.112.3"]
        assert web.get("http://public.example/x", reach=Reach(NOBODY)).body == b"by proxy"
        for named in ("http://inside.example/x", "http://unknown.example/x"):
            assert web.get(named).body == b"by proxy"


def test_where_only_the_proxy_knows_names_a_named_host_may_lead_to_others(
    names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(asked: Asked) -> Says:
        hosts = {"a.example": "http://b.example/", "c.example": "http://d.example/", "e.example": METADATA}
        to = hosts.get(asked.headers["Host"])
        return Says(status=302, headers={"Location": to}) if to else Says(b"there")

    with serving(answer) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        assert web.get("http://a.example/").body == b"there"
        names["e.example"] = ["140.82.112.3"]
        with pytest.raises(NotAsked, match=r"169\.254\.169\.254"):
            web.get("http://e.example/")
        names["c.example"] = ["140.82.112.3"]
        with pytest.raises(NotAsked, match=r"d\.example has no address here"):
            web.get("http://c.example/", reach=Reach(NOBODY))


def test_addresses_that_are_none_are_refused() -> None:
    assert origin("https://Host.Example/x") == ("host.example", 443)
    assert origin("http://[::1]:5000") == ("::1", 5000)
    with pytest.raises(SourceError):
        web.get("http://x:99999999/", reach=Reach(NOBODY))
