"""Release notes: fetched from an API of GitHub's shape, and what must not be overlooked lifted out."""

from __future__ import annotations

from pathlib import Path

import pytest

from openab_sop.targets import notes as release_notes
from openab_sop.targets.notes import Notes
from openab_sop.targets.version import Version
from tests.served import Asked, Says, serving

VERSION = Version.parse("0.8.1")
WORLD = Path(__file__).parents[3] / "world" / "notes"

MARKDOWN = """\
# openab 0.8.1

Some words on what it is.

## What's new
- A gateway.
- **BREAKING**: tokens move to `secretEnv`.
* feat(chart)!: the `env` map is a list
- not breaking at all
- fix: a thing

### Breaking Changes
Adapters are off by default,
  also where they were on.

1. `discord.enabled` must be set,
   for each agent.
2) Images without a tag change.

```yaml
# Migration
- this is code
```

#### Values
* `agents.<name>.image`

## Configuration :gear:
- `pool.size` is gone

## More
**Migration**
- The table `a` becomes `b`.

## Other
<!--
## Breaking changes
- a comment
-->
- None of the above.
"""


def notes(text: str) -> Notes:
    return Notes(VERSION, "https://notes", text)


def test_what_must_not_be_overlooked_is_lifted_out() -> None:
    found = notes(MARKDOWN)
    assert found.breaking == (
        "Adapters are off by default, also where they were on.",
        "`discord.enabled` must be set, for each agent.",
        "Images without a tag change.",
        "`agents.<name>.image`",
        "**BREAKING**: tokens move to `secretEnv`.",
        "feat(chart)!: the `env` map is a list",
    )
    assert found.values == ("`agents.<name>.image`", "`pool.size` is gone")
    assert found.migrations == ("The table `a` becomes `b`.",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "No breaking changes.",
        "## Breaking changes\nNone.",
        "## Breaking changes\n- none\n- N/A",
        "## Breaking changes",
    ],
)
def test_nothing_is_nothing(text: str) -> None:
    assert notes(text).highlights() == {}


def test_the_worlds_notes() -> None:
    read = {path.stem: notes(path.read_text()) for path in WORLD.glob("*.md")}
    assert read["0.8.0"].breaking[0].startswith("An adapter is configured only where")
    assert read["0.8.0"].values[0].startswith("`agents.<name>.image` without a tag")
    assert read["0.8.1"].highlights() == read["0.8.2"].highlights() == {}
    assert read["0.9.2"].migrations[0].startswith("The table `conversations`")
    assert [version for version, found in read.items() if found.prerelease_validated] == ["0.8.2"]


@pytest.mark.parametrize(
    ("text", "validated"),
    [
        ("pre-release-validated: true", True),
        ("Words.\r\n\r\n- **pre-release-validated:** `true`\r\n", True),
        ("<!-- pre-release-validated: true -->", True),
        ("Pre-Release-Validated:true", True),
        ("pre-release-validated: false", False),
        ("pre-release-validated: trueish", False),
        ("We could not say pre-release-validated: true yet.", False),
        ("pre-release-validated:\n\ntrue", False),
        ("", False),
    ],
)
def test_a_statement_stands_on_a_line_of_its_own(text: str, validated: bool) -> None:
    assert notes(text).prerelease_validated == validated


def test_both_forms_of_tags_are_looked_for() -> None:
    page = "https://github.com/openabdev/openab/releases/tag/openab-0.8.1"

    def answer(asked: Asked) -> Says:
        known = asked.path == "/releases/tags/openab-0.8.1"
        return (
            Says({"body": "## Values\r\n- x\r\n", "html_url": page}) if known else Says({"message": "Not Found"}, 404)
        )

    with serving(answer) as server:
        found = release_notes.fetch(f"{server.url}/releases/", VERSION)
        assert (found.address, found.values, found.problem) == (page, ("x",), "")
        assert server.paths() == ["/releases/tags/v0.8.1", "/releases/tags/openab-0.8.1"]


@pytest.mark.parametrize(
    "says",
    [
        Says({"message": "Not Found"}, 404),
        Says({"message": "API rate limit exceeded"}, 403),
        Says(b"<html>"),
        Says([]),
        Says({"body": None}),
        Says({"body": {"x": 1}}),
        Says({"body": " "}),
        Says(b" " * (release_notes.LARGEST + 1)),
    ],
)
def test_what_is_not_available_is_a_warning_with_the_address(says: Says) -> None:
    with serving(lambda _: says) as server:
        found = release_notes.fetch(server.url, VERSION)
        assert found.text == ""
        assert server.url in found.problem
        assert f"{server.url}/tags/" in found.highlights()["release notes"]
        assert not found.prerelease_validated


def test_an_address_that_is_none_is_a_warning_too() -> None:
    for url in ("nonsense", "file:///etc", "http://[::1"):
        assert release_notes.fetch(url, VERSION).problem


def test_a_page_that_is_no_web_page_is_not_linked() -> None:
    with serving(lambda _: Says({"body": "x", "html_url": "javascript:alert(1)"})) as server:
        assert release_notes.fetch(server.url, VERSION).address == f"{server.url}/tags/v0.8.1"
