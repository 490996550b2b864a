"""Try the plan gate on the history of a real chart.

    python -m history pack CLONE DIR           package the chart as it was at each tag of a clone
    python -m history walk DIR VALUES          plan every step with every values file, on the sandbox
    python -m history walk DIR VALUES --run    and upgrade really, with plain helm, to compare
    python -m history walk DIR VALUES --proposed    with the values that suites/values proposes

A walk that was cut short goes on where it was. Verdicts are asked anew of the plans that are kept, so that a change
of a rule needs no new walk; ``--redraw`` draws the plans anew.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from history import paper, standins
from history.alike import likeness
from history.cases import Case, read
from history.outcome import RIGHT
from history.pack import pack
from history.pairs import KINDS, Packed, Pair, pairs
from history.record import Record, key_of
from history.renderings import RememberingHelm
from history.table import Row, table
from history.trial import NoStart, Trial, images, rendered
from openab_sop.cluster import kubeconfig
from openab_sop.cluster.helm import Helm
from openab_sop.cluster.kube import Cluster
from openab_sop.errors import SopError
from sandbox import Sandbox
from world import World

Step = tuple[Pair, Case]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m history", description=__doc__.splitlines()[0] if __doc__ else "")
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="package the chart as it was at each tag of a clone")
    packing.add_argument("clone", type=Path)
    packing.add_argument("directory", type=Path)
    walking = commands.add_parser("walk", help="plan every step, and compare with what comes true")
    walking.add_argument("charts", type=Path, help="a directory of packaged charts")
    walking.add_argument("values", type=Path, help="a directory of values files")
    walking.add_argument("--run", action="store_true", help="upgrade really")
    walking.add_argument("--paper", action="store_true", help="only by what charts render to, without the cluster")
    walking.add_argument("--proposed", action="store_true", help="with the values that suites/values proposes")
    walking.add_argument("--kinds", default=",".join(KINDS), help="kinds of steps, separated by commas")
    walking.add_argument("--cases", default="", help="names of values files, separated by commas; all by default")
    walking.add_argument("--jobs", type=int, default=3, help="steps that are tried at once")
    walking.add_argument("--redraw", action="store_true", help="draw plans anew that are kept")
    walking.add_argument("--kept", type=Path, help="where what was seen is kept; with the sandbox's state by default")
    arguments = parser.parse_args()
    box = Sandbox()
    box.up(print)
    status = box.status()
    os.environ |= {"PATH": f"{status.bin}:{os.environ['PATH']}", "KUBECONFIG": str(status.kubeconfig)}
    if arguments.command == "pack":
        print(f"{len(pack(arguments.clone, arguments.directory))} charts in {arguments.directory}")
        return 0
    kept = arguments.kept or status.state / "history"
    helm = RememberingHelm(Cluster(kubeconfig.resolve(None, None, "default")), kept / "renderings")
    helm.renderings.mkdir(mode=0o700, parents=True, exist_ok=True)
    where = "paper" if arguments.paper else "sandbox"
    record = Record(kept / (f"{where}-proposed" if arguments.proposed else where))
    charts = [Packed.at(archive) for archive in sorted(arguments.charts.glob("*.tgz"))]
    wanted: list[str] = arguments.cases.split(",") if arguments.cases else []
    cases = [case for case in read(arguments.values) if not wanted or case.name in wanted]
    steps = begun(helm, pairs(charts, arguments.kinds.split(",")), cases)
    first = firsts(steps)
    todo = [step for step in first.values() if arguments.redraw or not record.is_known(*step, really=arguments.run)]
    if arguments.paper:
        write_down(record, helm, todo, arguments.jobs, converted=arguments.proposed)
    elif todo:
        world = World(box)
        world.publish(print)
        provide(box, world.chat_url, helm, sides(helm, todo, converted=arguments.proposed))
        walk(record, trials(todo, helm.renderings, really=arguments.run, converted=arguments.proposed), arguments.jobs)
    return report(record, steps, first)


def firsts(steps: Sequence[Step]) -> dict[tuple[object, str], Step]:
    """Return the first step of each likeness and values file: it stands for all others; in no order of the versions."""
    found: dict[tuple[object, str], Step] = {}
    for pair, case in steps:
        found.setdefault((likeness(pair), case.name), (pair, case))
    return dict(sorted(found.items(), key=lambda item: hashlib.sha256(repr(key_of(*item[1])).encode()).digest()))


def begun(helm: Helm, steps: Sequence[Pair], cases: Sequence[Case]) -> list[Step]:
    """Return each step with each values file that its first version could have and can be rendered with."""
    fitting = [(pair, case) for pair in steps for case in cases if case.fits(pair.before.version)]
    starts = list({(pair.before.label, case.name): (pair.before, case) for pair, case in fitting}.values())

    def can_start(start: tuple[Packed, Case]) -> bool:
        try:
            rendered(helm, *start)
        except NoStart:
            return False
        return True

    with ThreadPoolExecutor() as several:
        names = [(chart.label, case.name) for chart, case in starts]
        possible = dict(zip(names, several.map(can_start, starts), strict=True))
    return [(pair, case) for pair, case in fitting if possible[(pair.before.label, case.name)]]


def sides(helm: Helm, steps: Sequence[Step], *, converted: bool) -> list[tuple[Packed, Case]]:
    """Return each chart of the steps with the values that it will be rendered with."""
    found = {(pair.before.label, case.text): (pair.before, case) for pair, case in steps}
    for pair, case in steps:
        text = paper.converted_values(helm, pair, case).values.text if converted else case.text
        found[(pair.after.label, text)] = (pair.after, replace(case, text=text))
    return list(found.values())


def provide(box: Sandbox, chat_url: str, helm: Helm, rendered: Sequence[tuple[Packed, Case]]) -> None:
    """Load stand-ins for all images that charts ask for with values."""

    def named(side: tuple[Packed, Case]) -> set[str]:
        return images(helm, *side)

    with ThreadPoolExecutor() as several:
        standins.load(box, set[str]().union(*several.map(named, rendered)), chat_url, print)


def walk(record: Record, tried: Sequence[Trial], jobs: int) -> None:
    """Try steps, several at once, and keep what is seen."""

    def attempt(trial: Trial) -> None:
        try:
            for pair, tried in trial.run():
                record.note(pair, trial.case, tried)
                print(_row(record, pair, trial.case), flush=True)
        except NoStart as error:
            for pair in trial.pairs:
                record.note(pair, trial.case, str(error))
        except SopError as error:  # not kept, so that the next walk tries again
            print(f"{trial.pairs[0].label} [{trial.case.name}]: {error}", flush=True)

    with ThreadPoolExecutor(jobs) as several:
        list(several.map(attempt, tried))


def write_down(record: Record, helm: Helm, steps: Sequence[Step], jobs: int, *, converted: bool) -> None:
    """Go steps on paper, and keep what would become of them."""

    def attempt(step: Step) -> None:
        record.note(*step, paper.tried(helm, *step, converted=converted))

    with ThreadPoolExecutor(jobs) as several:
        list(several.map(attempt, steps))


def trials(steps: Sequence[Step], renderings: Path, *, really: bool, converted: bool) -> list[Trial]:
    """Return what has to be installed: each step by itself if it is gone, else once what several begin with."""
    if really:
        return [Trial((pair,), case, really, renderings, converted) for pair, case in steps]
    grouped: dict[tuple[str, str], list[Step]] = {}
    for pair, case in steps:
        grouped.setdefault((pair.before.label, case.name), []).append((pair, case))
    return [
        Trial(tuple(pair for pair, _ in group), group[0][1], really, renderings, converted)
        for group in grouped.values()
    ]


def report(record: Record, steps: Sequence[Step], first: Mapping[tuple[object, str], Step]) -> int:
    """Print what is wrong, and the table; returns 1 if the plan was wrong and nobody knows why."""
    tried = {key: _row(record, *step) for key, step in first.items()}
    rows = [replace(row, pair=pair) for pair, case in steps if (row := tried[(likeness(pair), case.name)])]
    wrong = [row for row in tried.values() if row and row.comparison not in ("", RIGHT)]
    print(*wrong, f"{len([row for row in tried.values() if row])} steps stand for all others", table(rows), sep="\n")
    return int(any(not row.reason for row in wrong))


def _row(record: Record, pair: Pair, case: Case) -> Row | None:
    plan = record.plan(pair, case)
    return Row.of(pair, case, plan, record.harms(pair, case), record.unproved(pair, case)) if plan else None


if __name__ == "__main__":
    sys.exit(main())
