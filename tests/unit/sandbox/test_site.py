"""Two sandboxes on one machine never share a directory, an address or a port."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from sandbox import Sandbox, SandboxError, site
from sandbox.site import NODE_PORTS, Site


def test_all_slots_have_disjoint_addresses_and_ports(tmp_path: Path) -> None:
    claims = [_claims(Site(tmp_path, slot)) for slot in range(site.SLOTS)]

    assert all(one.isdisjoint(other) for one, other in combinations(claims, 2))


def test_ports_stay_below_the_ephemeral_range(tmp_path: Path) -> None:
    last = Site(tmp_path, site.SLOTS - 1)

    assert last.port(NODE_PORTS[0]) + site.PORTS_PER_SLOT <= 32_768


def test_a_service_keeps_its_port(tmp_path: Path) -> None:
    place = Site(tmp_path, 7)
    chat, hooks = place.port("chat"), place.port("hooks")

    assert chat != hooks
    assert Site(tmp_path, 7).port("chat") == chat


def test_services_take_no_port_of_the_node(tmp_path: Path) -> None:
    place = Site(tmp_path, 7)
    node = {place.port(name) for name in NODE_PORTS}

    assert place.port("chat") not in node


def test_too_many_services_are_refused(tmp_path: Path) -> None:
    place = Site(tmp_path, 7)

    with pytest.raises(SandboxError, match="no port left"):
        for number in range(site.PORTS_PER_SLOT):
            place.port(f"service-{number}")


def test_the_state_directory_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Path("/tmp/sandbox-of-a-test")
    monkeypatch.setenv("OPENAB_SANDBOX_STATE", str(chosen))

    assert site.state_directory() == chosen


def test_a_state_directory_too_long_for_sockets_is_refused() -> None:
    with pytest.raises(SandboxError, match="too long for unix sockets"):
        Sandbox(Path(f"/tmp/{'x' * site.LONGEST_STATE}"))


def test_the_slot_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "slot").write_text("42")

    assert site.find(tmp_path).slot == 42
    assert site.find(tmp_path).address == "198.18.42.1"


def test_a_directory_with_somebody_elses_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    mode = tmp_path.stat().st_mode

    with pytest.raises(SandboxError, match="not a sandbox's"):
        site.claim(tmp_path)
    assert tmp_path.stat().st_mode == mode


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"OPENAB_SANDBOX_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "/a"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/openab-sop"),
        ({"HOME": "/c"}, "/c/.cache/openab-sop"),
    ],
)
def test_where_the_cache_is(variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAB_SANDBOX_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert site.cache_directory() == Path(expected)


def _claims(place: Site) -> set[str | int]:
    return {place.address, place.pod_subnet, *(place.port(name) for name in NODE_PORTS)}
