"""An operator's values as a document: comments, quotes and order stay as they were written."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from copy import deepcopy
from io import StringIO
from typing import Any, cast

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import LiteralScalarString

from openab_sop import bounded
from openab_sop.errors import SettingsError

Node = MutableMapping[str, Any]
_PRINTABLE = re.compile(r"[\t\n\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
"""What YAML shows in a literal block (YAML 1.2, 5.1)."""


class Document:
    """Values that can be changed, and written with the comments that they had.

    Args:
        text: the values as YAML.

    Raises:
        SettingsError: it is not YAML, or not a mapping.
    """

    def __init__(self, text: str) -> None:
        try:
            bounded.load_yaml(text, "the values", any_number=True)
            tree: object = _yaml().load(text)  # pyright: ignore[reportUnknownMemberType]
        except (YAMLError, ValueError) as error:
            raise SettingsError("the values are not YAML", "fix them, then run again") from error
        if tree is None:
            tree = CommentedMap()
        if not isinstance(tree, CommentedMap):
            raise SettingsError("the values are not a mapping of names to values", "write KEY: VALUE, as helm has it")
        self.tree: Node = cast(Node, tree)

    def copy(self) -> Document:
        """Return a copy that can be changed alone."""
        copied = Document("")
        copied.tree = deepcopy(self.tree)
        return copied

    def get(self, *path: str) -> Any:
        """Return what is at a path; None if there is nothing."""
        node: Any = self.tree
        for key in path:
            if not isinstance(node, MutableMapping):
                return None
            node = cast(Node, node).get(key)
        return node

    def set(self, path: tuple[str, ...], value: object) -> None:
        """Put a value at a path; what is missing above it is made, and a text of several lines becomes a block.

        Raises:
            SettingsError: something above it is not a mapping.
        """
        node = self.tree
        for key in path[:-1]:
            if node.get(key) is None:
                node[key] = CommentedMap()
            if not isinstance(node[key], MutableMapping):
                raise SettingsError(f"{'.'.join(path[:-1])} in the values is not a mapping", "fix it, then run again")
            node = cast(Node, node[key])
        block = isinstance(value, str) and "\n" in value and _PRINTABLE.fullmatch(value)
        node[path[-1]] = LiteralScalarString(value) if block else value

    def remove(self, path: tuple[str, ...]) -> None:
        """Remove what is at a path, and the mappings above it that are empty then."""
        *above, key = path
        holder: Any = self.get(*above)
        if isinstance(holder, MutableMapping) and key in holder:
            del holder[key]
            if not holder and above:
                self.remove(tuple(above))

    def __str__(self) -> str:
        """Return it as YAML."""
        out = StringIO()
        _yaml().dump(self.tree, out)  # pyright: ignore[reportUnknownMemberType]
        return out.getvalue()


def _yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 1 << 16  # a long text stays on its line
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml
