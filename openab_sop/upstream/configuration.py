"""What of OpenAB's config.toml reaches beyond the agent's volume: no backup has it, and no rollback brings it back.

Sources: https://github.com/openabdev/openab/tree/main/docs: hooks.md, config-reference.md, secrets-management.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import tomlkit
from tomlkit.exceptions import TOMLKitError

from openab_sop import bounded
from openab_sop.objects import Object, part

CONFIGURATION = "config.toml"
"""The key of an agent's ConfigMap."""
TEXT = "configToml"
"""The key of an agent's values that holds its config.toml."""
TOKENS = ("secretEnv", "envFrom")
"""The keys that give a token to an agent beside the chart's own."""
VARIABLES = ("secretEnv", "env")
"""The keys that give a variable to an agent, the first from a Secret."""
HOOKS = "hooks"
"""The table of what runs at an agent's start and stop."""
NO_CLOUD = {"AWS_EC2_METADATA_DISABLED": "true", "GCE_METADATA_HOST": "127.0.0.1:9"}
"""Variables by which the clients of clouds do not ask the node for its credentials."""
_HOOKS = {
    "pre_seed": "archives are unpacked into the home at each start",
    "pre_boot": "a script runs at each start, before the agent",
    "pre_shutdown": "a script runs at each stop, and can upload the home",
}
_ADDRESSES = ("https://", "http://", "s3://")


@dataclass(frozen=True)
class Outside:
    """Something that is on no volume of an agent: what names it, and what it does."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


def outside(configuration: Object, args: Sequence[str] = ()) -> Iterator[Outside]:
    """Yield what an agent's configuration names that is on no volume of it.

    Args:
        configuration: what its config.toml means.
        args: the arguments of its container: the configuration itself can come from an address.
    """
    if any(word.startswith(_ADDRESSES) for word in args):
        yield Outside("configUrl", "the configuration itself is loaded from an address at each start")
    for name, why in _HOOKS.items():
        if part(configuration, HOOKS).get(name):
            yield Outside(f"{HOOKS}.{name}", why)
    if part(configuration, "secrets", "refs"):
        yield Outside("secrets.refs", "secrets are fetched from a provider at each start")


def without_hooks(text: str) -> str:
    """Return a config.toml without what runs at start and stop; a text that is not TOML stays as it is."""
    try:
        bounded.load_toml(text, "config.toml")
        document = tomlkit.parse(text)
    except (TOMLKitError, RecursionError, ValueError):
        return text
    if HOOKS not in document:
        return text
    document.remove(HOOKS)
    return tomlkit.dumps(document)  # pyright: ignore[reportUnknownMemberType]
