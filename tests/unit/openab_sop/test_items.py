"""What a restore is to bring back, as --items says it."""

from __future__ import annotations

import pytest

from openab_sop.backups.items import AUTH, HOSTS, STEERING, Selection
from openab_sop.errors import SettingsError


def test_the_whole_home() -> None:
    whole = Selection.parse("home")
    assert (whole.home, whole.items, whole.secrets, whole.paths) == (True, (), False, ())
    assert whole.touches_volumes


def test_the_home_has_every_item() -> None:
    assert Selection.parse("steering, home,secret") == Selection(home=True, items=(), secrets=True)


def test_items_confine() -> None:
    some = Selection.parse(" steering ,hosts.yml,")
    assert some.items == (STEERING, HOSTS)
    assert some.paths == (".kiro/steering", ".config/gh/hosts.yml")
    assert str(some) == "steering, hosts.yml"


def test_a_database_comes_with_its_logs() -> None:
    paths = Selection.parse(AUTH.name).paths
    assert paths == tuple(AUTH.path + suffix for suffix in ("", "-wal", "-journal", "-shm"))


def test_secrets_alone_touch_no_volume() -> None:
    assert not Selection.parse("secret").touches_volumes


@pytest.mark.parametrize("text", ["", " , ", "nothing", "steering,../x", "Home", "steering;secret"])
def test_what_is_no_item(text: str) -> None:
    with pytest.raises(SettingsError, match="there is no item"):
        Selection.parse(text)
