"""What of a configuration no backup has; and a copy of an agent runs nothing at its start."""

from __future__ import annotations

import tomllib

import pytest

from openab_sop.upstream.configuration import outside, without_hooks

TOML = '''\
# ours
[discord]
bot_token = "${DISCORD_BOT_TOKEN}"

[hooks.pre_boot]
inline = """
#!/bin/sh
[ -d x ] || aws s3 sync s3://bucket "$HOME"
[agent]
"""

[hooks.pre_shutdown]
script = "/upload.sh"

[agent]
command = "kiro-cli"  # stays
'''


def test_what_is_on_no_volume_is_named() -> None:
    found = list(
        outside(tomllib.loads(TOML + '[secrets.refs]\ntoken = "aws-sm://x"\n'), ("run", "-c", "s3://b/c.toml"))
    )
    assert [one.name for one in found] == ["configUrl", "hooks.pre_boot", "hooks.pre_shutdown", "secrets.refs"]


@pytest.mark.parametrize("text", ["", "[hooks]\n", "[hooks.pre_boot]\n", "[agent]\ncommand = 'x'\n"])
def test_nothing_is_named_where_nothing_is_outside(text: str) -> None:
    assert list(outside(tomllib.loads(text), ("run", "-c", "/etc/openab/config.toml"))) == []


@pytest.mark.parametrize(
    "text",
    [
        TOML,
        "hooks = { pre_boot = { script = '/x' } }\n[agent]\ncommand = 'kiro-cli'\n",
        "hooks.pre_boot.script = '/x'\n[agent]\ncommand = 'kiro-cli'\n",
        "[agent]\ncommand = 'kiro-cli'\n[[hooks.later]]\nscript = '/x'\n",
    ],
)
def test_a_copy_runs_nothing_at_its_start(text: str) -> None:
    left = tomllib.loads(without_hooks(text))
    assert "hooks" not in left
    assert left["agent"]["command"] == "kiro-cli"


def test_the_rest_of_a_configuration_stays_as_it_is_written() -> None:
    left = without_hooks(TOML)
    assert left.startswith('# ours\n[discord]\nbot_token = "${DISCORD_BOT_TOKEN}"\n')
    assert 'command = "kiro-cli"  # stays\n' in left


@pytest.mark.parametrize("text", ["= no TOML", "[hooks\n", "", "# nothing"])
def test_what_is_no_toml_or_has_no_hooks_stays(text: str) -> None:
    assert without_hooks(text) == text
