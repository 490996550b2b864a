"""Try the plan gate on the history of a real chart.

    python -m history pack CLONE DIR           package the chart as it was at each tag of a clone
    python -m history walk DIR VALUES          plan every step with every values file, on the sandbox
    python -m history walk DIR VALUES --run    and upgrade really, with plain helm, to compare

A walk that was cut short goes on where it was. Verdicts are asked anew of the plans that are kept, so that a change
of a rule needs no new walk; ``--redraw`` draws the plans anew.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from history import standins
from history.cases import Case, read
from history.outcome import RIGHT
from history.pack import pack
from history.pairs import KINDS, Packed, Pair, pairs
from history.record import Record
from history.renderings import RememberingHelm
from history.table import Row, table
from history.trial import NoStart, Trial, images, rendered
from openab_sop.cluster import kubeconfig
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
    walking.add_argument("--kinds", default=",".join(KINDS), help="kinds of steps, separated by commas")
    walking.add_argument("--cases", default="", help="names of values files, separated by commas; all by default")
    walking.add_argument("--jobs", type=int, default=3, help="steps that are tried at once")
    walking.add_argument("--redraw", action="store_true", help="draw plans anew that are kept")
    walking.add_argument("--kept", type=Path, help="where what was seen is kept; with the sandbox's state by default")
    arguments = parser.parse_args()
    box = Sandbox()
    world = World(box)
    world.publish(print)
    status = box.status()
    os.environ |= {"PATH": f"{status.bin}:{os.environ['PATH']}", "KUBECONFIG": str(status.kubeconfig)}
    if arguments.command == "pack":
        print(f"{len(pack(arguments.clone, arguments.directory))} charts in {arguments.directory}")
        return 0
    record = Record(arguments.kept or status.state / "history")
    charts = [Packed.at(archive) for archive in sorted(arguments.charts.glob("*.tgz"))]
    wanted: list[str] = arguments.cases.split(",") if arguments.cases else []
    cases = [case for case in read(arguments.values) if not wanted or case.name in wanted]
    steps = begun(pairs(charts, arguments.kinds.split(",")), cases)
    todo = [step for step in steps if arguments.redraw or not record.is_known(*step, really=arguments.run)]
    if todo:
        provide(box, world.chat_url, todo)
        walk(record, todo, arguments.jobs, really=arguments.run)
    return report(record, steps)


def begun(steps: Sequence[Pair], cases: Sequence[Case]) -> list[Step]:
    """Return each step with each values file that its first version could have and can be rendered with."""
    helm = RememberingHelm(Cluster(kubeconfig.resolve(None, None, "default")))
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


def provide(box: Sandbox, chat_url: str, steps: Sequence[Step]) -> None:
    """Load stand-ins for all images that the steps will ask for."""
    helm = RememberingHelm(Cluster(kubeconfig.resolve(None, None, "default")))
    sides = {(side.label, case.name): (side, case) for pair, case in steps for side in (pair.before, pair.after)}

    def named(side: tuple[Packed, Case]) -> set[str]:
        return images(helm, *side)

    with ThreadPoolExecutor() as several:
        standins.load(box, set[str]().union(*several.map(named, sides.values())), chat_url, print)


def walk(record: Record, steps: Sequence[Step], jobs: int, *, really: bool) -> None:
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
        list(several.map(attempt, trials(steps, really=really)))


def trials(steps: Sequence[Step], *, really: bool) -> list[Trial]:
    """Return what has to be installed: each step by itself if it is gone, else once what several begin with."""
    if really:
        return [Trial((pair,), case, really) for pair, case in steps]
    grouped: dict[tuple[str, str], list[Step]] = {}
    for pair, case in steps:
        grouped.setdefault((pair.before.label, case.name), []).append((pair, case))
    return [Trial(tuple(pair for pair, _ in group), group[0][1], really) for group in grouped.values()]


def report(record: Record, steps: Sequence[Step]) -> int:
    """Print what is wrong, and the table; returns 1 if the plan was wrong and nobody knows why."""
    rows = [row for pair, case in steps if (row := _row(record, pair, case))]
    wrong = [row for row in rows if row.comparison not in ("", RIGHT)]
    print(*wrong, table(rows), sep="\n")
    return int(any(not row.reason for row in wrong))


def _row(record: Record, pair: Pair, case: Case) -> Row | None:
    plan = record.plan(pair, case)
    return Row.of(pair, case, plan, record.harms(pair, case)) if plan else None


if __name__ == "__main__":
    sys.exit(main())
