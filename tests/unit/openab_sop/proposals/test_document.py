"""Values that are changed in one place stay as they were written in all others."""

from __future__ import annotations

import pytest

from openab_sop.errors import SettingsError
from openab_sop.proposals.document import Document, without

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
    assert not document.remove(("never", "there"))
    assert str(document) == "d: 2\n"


def test_a_text_that_a_block_cannot_show_is_quoted() -> None:
    document = Document("")
    document.set(("text",), "a\rb\n\x07")
    assert Document(str(document)).get("text") == "a\rb\n\x07"


COMMENTED = """\
agents:
  kiro:
    # who may write
    discord:
      botToken: x  # stays
      allowedChannels:
      - "1"  # general
      - "2"

    # GPU node: do not remove
    nodeSelector:
      gpu: "true"
    text: |
      # not a comment
      last
    # tolerate the taint
    tolerations: []
    command: "a
      b"
# the end
image: {tag: latest, repository: r}
"""


@pytest.mark.parametrize(
    ("path", "gone", "left"),
    [
        (("agents", "kiro", "discord", "allowedChannels"), '"2"', "# GPU node: do not remove"),
        (("agents", "kiro", "discord"), "botToken", "# who may write"),
        (("agents", "kiro", "text"), "last", "# tolerate the taint"),
        (("agents", "kiro", "nodeSelector", "gpu"), "gpu", "# GPU node: do not remove"),
        (("agents", "kiro", "command"), "command", "# the end"),
        (("agents", "kiro", "tolerations"), "tolerations", "# tolerate the taint"),
        (("image", "tag"), "latest", "# the end"),
        (("image",), "repository", "# the end"),
        (("agents",), "kiro:", "# the end"),
    ],
)
def test_comments_around_what_is_removed_stay(path: tuple[str, ...], gone: str, left: str) -> None:
    document = Document(COMMENTED)
    expected = without(document.plain, path)
    assert document.remove(path)
    assert document.plain == expected
    assert gone not in str(document)
    assert left in str(document)
    assert not document.remove(path)


def test_anchors_are_written_out_so_that_a_change_is_made_once() -> None:
    text = "base: &base {image: old, a: [1]}\nagents: {claude: {<<: *base, b: 2}, kiro: *base}\n"
    document = Document(text)
    assert document.written_out
    assert document.remove(("agents", "claude", "image"))
    document.set(("agents", "kiro", "c"), 3)
    assert document.plain["agents"] == {"claude": {"a": [1], "b": 2}, "kiro": {"image": "old", "a": [1], "c": 3}}
    assert "&" not in str(document)
    assert not Document(OWN).written_out


@pytest.mark.parametrize("text", ["- a list", "just words", "a: [", "a: 1\na: 2\n", "\x00"])
def test_values_that_are_no_mapping_are_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        Document(text)


def test_nothing_is_put_below_what_is_no_mapping() -> None:
    with pytest.raises(SettingsError, match=r"agents in the values"):
        Document("agents: 5").set(("agents", "kiro"), "x")
