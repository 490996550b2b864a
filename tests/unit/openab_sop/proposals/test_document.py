"""Values that are changed in one place stay as they were written in all others."""

from __future__ import annotations

import pytest

from openab_sop.errors import SettingsError
from openab_sop.proposals.document import Document

OWN = """\
# our bot
agents:
  kiro:
    discord:
      allowedChannels:
        - "123456789012345678"  # general
        - 123456789012345679
      botToken: 'quoted'
    pool: {maxSessions: 5}
  # the second one
  claude:
    enabled: false
"""


def test_nothing_changes_by_itself() -> None:
    assert str(Document(OWN)) == OWN


def test_a_text_of_several_lines_is_a_block_and_the_rest_stays() -> None:
    document = Document(OWN)
    document.set(("agents", "kiro", "configToml"), '[discord]\nbot_token = "${DISCORD_BOT_TOKEN}"\n')
    block = '    configToml: |\n      [discord]\n      bot_token = "${DISCORD_BOT_TOKEN}"\n'
    head, tail = OWN.split("    pool: {maxSessions: 5}\n")
    assert block in str(document)
    assert str(document).startswith(head)
    assert "# the second one" in str(document)
    assert tail.split("# the second one")[1] in str(document)
    assert Document(str(document)).get("agents", "kiro", "configToml").endswith('"${DISCORD_BOT_TOKEN}"\n')


def test_what_is_missing_above_a_value_is_made() -> None:
    document = Document("")
    document.set(("agents", "kiro", "image"), "x")
    assert str(document) == "agents:\n  kiro:\n    image: x\n"


def test_mappings_that_become_empty_go_too() -> None:
    document = Document("a:\n  b:\n    c: 1\nd: 2\n")
    document.remove(("a", "b", "c"))
    document.remove(("never", "there"))
    assert str(document) == "d: 2\n"


def test_a_text_that_a_block_cannot_show_is_quoted() -> None:
    document = Document("")
    document.set(("text",), "a\rb\n\x07")
    assert Document(str(document)).get("text") == "a\rb\n\x07"


def test_a_copy_is_changed_alone() -> None:
    document = Document(OWN)
    document.copy().remove(("agents",))
    assert str(document) == OWN


@pytest.mark.parametrize("text", ["- a list", "just words", "a: [", "a: 1\na: 2\n", "\x00"])
def test_values_that_are_no_mapping_are_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        Document(text)


def test_nothing_is_put_below_what_is_no_mapping() -> None:
    with pytest.raises(SettingsError, match=r"agents in the values"):
        Document("agents: 5").set(("agents", "kiro"), "x")
