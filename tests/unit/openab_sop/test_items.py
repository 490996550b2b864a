"""What a restore is to bring back, as --items says it."""

from __future__ import annotations

import pytest

from openab_sop.backups.items import AUTH, HOSTS, STEERING, Selection
from openab_sop.errors import SettingsError


def test_the_whole_home() -> None:
    whole = Selection.parse("home")
    assert (whole.home, whole.items, whole.secrets, whole.within(["a"])) == (True, (), False, ())
    assert whole.touches_volumes


def test_the_home_has_every_item() -> None:
    assert Selection.parse("steering, home,secret") == Selection(home=True, items=(), secrets=True)


def test_items_confine() -> None:
    some = Selection.parse(" steering ,hosts.yml,")
    assert some.items == (STEERING, HOSTS)
    assert some.within([]) == (".kiro/steering", ".config/gh/hosts.yml")
    assert str(some) == "steering, hosts.yml"


def test_a_database_comes_with_its_logs() -> None:
    paths = Selection.parse(AUTH.name).within([])
    assert paths == tuple(AUTH.path + suffix for suffix in ("", "-wal", "-journal", "-shm"))


HOME = (
    ".codex",
    ".codex/auth.json",
    ".codex/config.toml",
    ".kiro",
    ".openab/agent/auth.json",
    "notes/.kiro",
    ".ssh/id_ed",
)


def test_logins_are_those_that_the_backup_has() -> None:
    logins = Selection.parse("logins")
    assert logins.within(HOME) == (".codex/auth.json", ".openab/agent/auth.json", ".ssh/id_ed")
    assert logins.within(["notes"]) == ()
    assert (logins.is_part, logins.touches_volumes, logins.spares_logins, str(logins)) == (True, True, False, "logins")


def test_the_state_of_every_flavour() -> None:
    state = Selection.parse("state,hosts.yml")
    assert state.within(HOME) == (".config/gh/hosts.yml", ".codex", ".kiro")
    assert not state.spares_logins
    assert Selection.parse("state").spares_logins


def test_secrets_alone_touch_no_volume() -> None:
    assert not Selection.parse("secret").touches_volumes


@pytest.mark.parametrize("text", ["", " , ", "nothing", "steering,../x", "Home", "steering;secret"])
def test_what_is_no_item(text: str) -> None:
    with pytest.raises(SettingsError, match="there is no item"):
        Selection.parse(text)
