"""``make docs``: README.md, docs/ and the README files of the parts as one site, in build/site. Dead links fail it."""

from __future__ import annotations

import posixpath
import re
import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import main

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "sandbox/README.md": "sandbox.md",
    "world/README.md": "world.md",
    "reports/README.md": "reports.md",
}
"""What lies outside docs/, and what its page is called."""
CHAPTERS = {
    "Set-up": ("install",),
    "Stages": ("sop", "backup", "plan", "rehearsal", "upgrade", "values", "restore"),
    "Reference": ("options", "rules", "permissions", "reports", "glossary"),
    "When something went wrong": ("troubleshooting",),
    "What you can rely on": ("guarantees", "limits", "threat-model", "benchmarks", "history"),
    "For contributors": ("contributing", "sandbox", "world", "test-costs"),
    "News": ("changelog",),
}
SETTINGS = {
    "project": "openab-sop",
    "extensions": "myst_parser",
    "html_theme": "furo",
    "html_title": "openab-sop",
    "html_copy_source": "0",
    "myst_heading_anchors": "4",
    "exclude_patterns": "",
}
_LINK = re.compile(r"\[(?P<text>[^\]]+)\]\((?!https?:|#)(?P<path>[^)#\s]+)(?P<anchor>#[^)\s]+)?\)")


def write_pages(directory: Path) -> None:
    """Write every page into one directory, its links as they lead there."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for source in (*OUTSIDE, *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))):
        text = _LINK.sub(lambda found, source=source: _moved(found, source), (ROOT / source).read_text())
        (directory / OUTSIDE.get(source, source.removeprefix("docs/"))).write_text(text)
    with (directory / "index.md").open("a") as index:
        for title, names in CHAPTERS.items():
            index.write("\n".join(("", "```{toctree}", ":hidden:", f":caption: {title}", "", *names, "```", "")))


def _moved(found: re.Match[str], source: str) -> str:
    """Return a link as it leads from a page of the site; one to a file of the code is plain text there."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), found["path"]))
    if not path.endswith(".md"):
        return found["text"]
    return f"[{found['text']}]({OUTSIDE.get(path, path.removeprefix('docs/'))}{found['anchor'] or ''})"


if __name__ == "__main__":
    build = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build"
    write_pages(build / "pages")
    settings = [word for name, value in SETTINGS.items() for word in ("-D", f"{name}={value}")]
    sys.exit(main(["-q", "-W", "--keep-going", "-n", "-C", *settings, str(build / "pages"), str(build / "site")]))
