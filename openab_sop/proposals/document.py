"""An operator's values as a document: comments, quotes and order stay as they were written."""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from io import StringIO
from typing import Any, cast

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import LiteralScalarString

from openab_sop import bounded
from openab_sop.errors import SettingsError

Node = MutableMapping[Any, Any]
_PRINTABLE = re.compile(r"[\t\n\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
"""What YAML shows in a literal block (YAML 1.2, 5.1)."""


class Document:
    """Values that can be changed, and written with the comments that they had.

    Args:
        text: the values as YAML.

    Attributes:
        written_out: whether anchors were replaced by what they stand for, which loses the comments: a change below an
            alias would change every place that it stands in.

    Raises:
        SettingsError: it is not YAML, or not a mapping.
    """

    def __init__(self, text: str) -> None:
        try:
            plain: object = bounded.load_yaml(text, "the values", any_number=True)
            self.written_out = any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader))
            if self.written_out:
                text = yaml.dump(plain, Dumper=_Plain, sort_keys=False, allow_unicode=True)
            self._tree = _loaded(text)
        except (YAMLError, yaml.YAMLError, ValueError) as error:
            raise SettingsError("the values are not YAML", "fix them, then run again") from error

    @property
    def plain(self) -> Any:
        """What the values mean now, as Helm reads them."""
        return bounded.load_yaml(str(self), "the values", any_number=True) or {}

    def get(self, *path: Any) -> Any:
        """Return what is at a path; None if there is nothing."""
        node: Any = self._tree
        for key in path:
            if not isinstance(node, Mapping):
                return None
            node = cast(Node, node).get(key)
        return node

    def set(self, path: tuple[Any, ...], value: object) -> None:
        """Put a value at a path; what is missing above it is made, and a text of several lines becomes a block.

        Raises:
            SettingsError: something above it is not a mapping.
        """
        node = self._tree
        for key in path[:-1]:
            if node.get(key) is None:
                node[key] = CommentedMap()
            if not isinstance(node[key], MutableMapping):
                above = ".".join(map(str, path[:-1]))
                raise SettingsError(f"{above} in the values is not a mapping", "fix it, then run again")
            node = cast(Node, node[key])
        block = isinstance(value, str) and "\n" in value and _PRINTABLE.fullmatch(value)
        node[path[-1]] = LiteralScalarString(value) if block else value

    def remove(self, path: tuple[Any, ...]) -> bool:
        """Remove what is at a path, and the mappings above it that are empty then; comments around it stay.

        Returns:
            False if there is nothing at the path.
        """
        *above, key = path
        holder: Any = self.get(*above)
        if not isinstance(holder, MutableMapping) or key not in holder:
            return False
        if above and len(cast(Node, holder)) == 1:
            return self.remove(tuple(above))
        wanted = without(self.plain, path)
        cut = self._cut(path)
        if cut is not None and cut.plain == wanted:
            self._tree = cut._tree
        else:  # written in one line with others, or in some way that is not known here
            del cast(Node, holder)[key]
        return True

    def _cut(self, path: tuple[Any, ...]) -> Document | None:
        """Return it without the lines of one key: ruamel.yaml would take the comment before the next key with them."""
        written = Document(str(self))
        *above, key = path
        holder: Any = written.get(*above)
        if not isinstance(holder, CommentedMap) or cast(Any, holder).fa.flow_style():
            return None
        first, column = cast(Any, holder).lc.key(key)
        lines = str(written).splitlines(keepends=True)
        last = first
        for number in range(first + 1, len(lines)):
            text = lines[number].strip()
            indent = len(lines[number]) - len(lines[number].lstrip())
            belongs = indent > column or (indent == column and text.startswith(("- ", "]", "}")))
            if not text or text.startswith("#"):
                continue
            if not belongs:
                break
            last = number
        try:
            return Document("".join([*lines[:first], *lines[last + 1 :]]))
        except SettingsError:
            return None

    def __str__(self) -> str:
        """Return it as YAML."""
        out = StringIO()
        _yaml().dump(self._tree, out)  # pyright: ignore[reportUnknownMemberType]
        return out.getvalue()


def without(values: object, path: tuple[Any, ...]) -> object:
    """Return values without what is at a path, and without the mappings that are empty then."""
    key, *rest = path
    if not isinstance(values, dict) or key not in values:
        return cast(object, values)
    tree = cast(dict[Any, object], values)
    inner: object = without(tree[key], tuple(rest)) if rest else None
    if rest and inner:
        return {**tree, key: inner}
    return {name: value for name, value in tree.items() if name != key}


class _Plain(yaml.SafeDumper):
    """Writes each value out, however often it stands there."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _loaded(text: str) -> Node:
    tree: object = _yaml().load(text)  # pyright: ignore[reportUnknownMemberType]
    if tree is None:
        tree = CommentedMap()
    if not isinstance(tree, CommentedMap):
        raise SettingsError("the values are not a mapping of names to values", "write KEY: VALUE, as helm has it")
    return cast(Node, tree)


def _yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 1 << 16  # a long text stays on its line
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml
