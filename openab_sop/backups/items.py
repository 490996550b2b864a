"""The parts of a home that the SOP keeps and restores on their own (SOP 2.2-2.5, 5.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from openab_sop.backups import database
from openab_sop.errors import SettingsError
from openab_sop.upstream import homes


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


@dataclass(frozen=True)
class Selection:
    """What a restore is to bring back.

    Attributes:
        home: whether the whole home is.
        items: parts of it, if not; of whatever paths.
        secrets: whether the Kubernetes Secrets are.
    """

    home: bool
    items: tuple[Item, ...]
    secrets: bool

    @classmethod
    def parse(cls, text: str) -> Selection:
        """Read the value of ``--items``: names separated by commas.

        Raises:
            SettingsError: a name is not known.
        """
        names = [name.strip() for name in text.split(",") if name.strip()]
        known = {item.name: item for item in ITEMS}
        if unknown := [name for name in names if name not in (*known, HOME, SECRET)] or not names:
            raise SettingsError(
                f"--items={text}: there is no item {unknown}", f"choose of {', '.join((HOME, SECRET, *known))}"
            )
        items = tuple(known[name] for name in names if name in known)
        return cls(home=HOME in names, items=() if HOME in names else items, secrets=SECRET in names)

    @classmethod
    def of(cls, paths: Iterable[str]) -> Selection:
        """Return what confines a restore to these paths of the home."""
        return cls(home=False, items=tuple(Item(path, path) for path in paths), secrets=False)

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths in the home that it is confined to; empty for the whole home."""
        return tuple(path for item in self.items for path in item.paths)

    @property
    def touches_volumes(self) -> bool:
        """Whether any agent's volume is concerned."""
        return self.home or bool(self.items)

    def __str__(self) -> str:
        names = [
            *([HOME] if self.home else []),
            *(item.name for item in self.items),
            *([SECRET] if self.secrets else []),
        ]
        return ", ".join(names)
