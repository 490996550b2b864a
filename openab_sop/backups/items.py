"""The parts of a home that the SOP keeps and restores on their own (SOP 2.2-2.5, 5.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from openab_sop.backups import database
from openab_sop.errors import SettingsError
from openab_sop.upstream import homes
from openab_sop.upstream.logins import is_login


@dataclass(frozen=True)
class Item:
    """A part of the home: its name in a backup, its path in the home."""

    name: str
    path: str

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that belongs to it: a database comes with its logs."""
        return database.parts(self.path) if self is AUTH else (self.path,)


AGENTS = Item(*homes.AGENTS)
STEERING = Item(*homes.STEERING)
SKILLS = Item(*homes.SKILLS)
HOSTS = Item(*homes.HOSTS)
AUTH = Item(*homes.AUTH)
ITEMS = (AGENTS, STEERING, SKILLS, HOSTS, AUTH)

HOME = "home"
SECRET = "secret"
LOGINS = "logins"
STATE = "state"
GROUPS = (LOGINS, STATE)
"""Parts whose paths depend on what the backup has: logins of every known program, and the state of every flavour."""


@dataclass(frozen=True)
class Selection:
    """What a restore is to bring back.

    Attributes:
        home: whether the whole home is.
        items: parts of it, if not; of whatever paths.
        secrets: whether the Kubernetes Secrets are.
        groups: further parts of it, of ``GROUPS``.
    """

    home: bool
    items: tuple[Item, ...]
    secrets: bool
    groups: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Selection:
        """Read the value of ``--items``: names separated by commas.

        Raises:
            SettingsError: a name is not known.
        """
        names = [name.strip() for name in text.split(",") if name.strip()]
        known = {item.name: item for item in ITEMS}
        if unknown := [name for name in names if name not in (*known, *GROUPS, HOME, SECRET)] or not names:
            raise SettingsError(
                f"--items={text}: there is no item {unknown}",
                f"choose of {', '.join((HOME, SECRET, *GROUPS, *known))}",
            )
        items = tuple(known[name] for name in names if name in known)
        groups = tuple(name for name in GROUPS if name in names)
        if HOME in names:
            return cls(home=True, items=(), secrets=SECRET in names)
        return cls(home=False, items=items, secrets=SECRET in names, groups=groups)

    @classmethod
    def of(cls, paths: Iterable[str]) -> Selection:
        """Return what confines a restore to these paths of the home."""
        return cls(home=False, items=tuple(Item(path, path) for path in paths), secrets=False)

    @property
    def is_part(self) -> bool:
        """Whether it is confined to parts of the home."""
        return bool(self.items or self.groups)

    @property
    def spares_logins(self) -> bool:
        """Whether logins that are newer on the volume stay: they do unless they were asked for by name."""
        return self.home or (not self.items and LOGINS not in self.groups)

    @property
    def touches_volumes(self) -> bool:
        """Whether any agent's volume is concerned."""
        return self.home or self.is_part

    def within(self, paths: Iterable[str]) -> tuple[str, ...]:
        """Return the paths that it is confined to, in a home with these paths; none for the whole home."""
        found = [path for item in self.items for path in item.paths]
        if self.groups:
            found += [path for path in paths if self._is_in_group(path)]
        return tuple(dict.fromkeys(found))

    def _is_in_group(self, path: str) -> bool:
        return (LOGINS in self.groups and is_login(path)) or (STATE in self.groups and path in homes.STATE)

    def __str__(self) -> str:
        names = [
            *([HOME] if self.home else []),
            *(item.name for item in self.items),
            *self.groups,
            *([SECRET] if self.secrets else []),
        ]
        return ", ".join(names)
