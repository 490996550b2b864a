"""Which steps are one and the same but for numbers: most versions of a chart differ in nothing that is rendered."""

from __future__ import annotations

import hashlib
import json
import tarfile
from functools import cache
from pathlib import Path

import yaml

from history.observe import READ_ELSEWHERE
from history.pairs import Pair
from history.standins import REFUSING
from openab_sop.plans.rules.data import MOVES
from openab_sop.proposals.steps import STEPS
from openab_sop.targets.version import Version
from openab_sop.upstream.migrations import MIGRATIONS

Likeness = tuple[object, ...]
"""Equal for steps of which one stands for all."""


def likeness(pair: Pair) -> Likeness:
    """Return what makes a step different.

    That is what either chart renders from, its own numbers apart; whether the image moves; and on which side either is
    of each version that is known to matter.
    """
    sides = pair.before, pair.after
    marks = [
        *(since for since, _ in READ_ELSEWHERE.values()),
        *(m.since for m in MOVES),
        *(m.version for m in MIGRATIONS),
        *(str(step.since) for step in STEPS),
    ]
    return (
        *(_sources(side.archive) for side in sides),
        pair.before.app == pair.after.app,
        *(str(side.version) in REFUSING for side in sides),
        *(_place(side.version, Version.parse(mark)) for side in sides for mark in marks),
    )


def _place(version: Version, mark: Version) -> int:
    return version.is_older_than(mark) - mark.is_older_than(version)


@cache
def _sources(archive: Path) -> str:
    """Digest what a chart renders from, with the version of what it installs taken out."""
    kept: dict[str, str] = {}
    with tarfile.open(archive) as files:
        for name in files.getnames():
            inside, stream = name.partition("/")[2], files.extractfile(name)
            wanted = inside.startswith(("templates/", "charts/")) and inside != "templates/NOTES.txt"
            if stream and (wanted or inside in ("Chart.yaml", "values.yaml")):
                kept[inside] = stream.read().decode()
    said, values = yaml.safe_load(kept.pop("Chart.yaml")), yaml.safe_load(kept.pop("values.yaml"))
    app = json.dumps(str(said.get("appVersion") or said["version"]))
    whole = json.dumps([said["name"], json.dumps(values, sort_keys=True).replace(app, '"@"'), kept], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()
