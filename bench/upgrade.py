"""What an upgrade costs against plain commands: the outage, the time of the whole procedure, the processes it starts.

    python -m bench.upgrade            five upgrades of each kind, in turn

Outage: a plain ``helm upgrade`` against ours, both watched from outside the release. Time: the whole procedure with
nobody to wait for against a script of the SOP's own kubectl and helm commands, one after the other. The script does
less: no lock, no digests, no database that is consistent, no second backup right before the change, no dryRun of the
API, no image pulled ahead, no file compared afterwards.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from openab_sop.agents.agent import Agent
from openab_sop.cluster import kubeconfig
from openab_sop.cluster.kube import Cluster
from openab_sop.rollouts.outage import OutageWatch
from sandbox import Sandbox
from world import World

ROOT = Path(__file__).resolve().parents[1]
NAMESPACE, AGENT = "bench-upgrade", "openab-kiro"
KUBECTL = f"kubectl --namespace={NAMESPACE}"
SELECTOR = "app.kubernetes.io/instance=openab,app.kubernetes.io/component=kiro"
BEFORE, AFTER = "0.8.1", "0.8.2"
_SHIM = '#!/bin/sh\necho >>"{count}"\nexec "{tool}" "$@"\n'


@dataclass(frozen=True)
class Cost:
    """What one upgrade took: seconds out, seconds altogether, kubectl and helm processes."""

    outage: float
    seconds: float
    processes: int


class Bench:
    """One release that is upgraded again and again; each time it goes back first."""

    def __init__(self, world: World, scratch: Path, env: dict[str, str], before: str, after: str) -> None:
        self._before = before
        self._after = after
        self._world = world
        self._scratch = scratch
        self._count = scratch / "count"
        self._env = {**env, "PATH": f"{self._shims(env)}:{env['PATH']}"}
        os.environ["KUBECONFIG"] = env["KUBECONFIG"]
        self._cluster = Cluster(kubeconfig.resolve(None, None, NAMESPACE))
        values = world.agent_values()
        values["env"]["OPENAB_WRITE_INTERVAL"] = "1s"
        world.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
        world.install("openab", NAMESPACE, before, {"agents": {"kiro": values}})
        world.fill_home(NAMESPACE, AGENT)

    def back(self) -> None:
        """Bring the old version back."""
        package = self._world.package(self._before)  # no rollback: Helm keeps ten revisions, and there are more
        self._world.helm(["upgrade", "openab", package, "--namespace", NAMESPACE, "--reuse-values"])
        self._world.kubectl("--namespace", NAMESPACE, "rollout", "status", f"deploy/{AGENT}", "--timeout=60s")

    def ours(self, *options: str) -> Cost:
        """The whole procedure, nobody to wait for."""
        return self._measured(lambda: self.suite("suites", "--approval=auto", *options))

    def suite(self, suite: str, *options: str) -> None:
        """Run a suite against the release."""
        own = [f"--backup-root={self._scratch / 'backups'}", f"--reports={self._scratch / 'reports'}"]
        source = [f"--chart={self._world.registry()}/openab", f"--notes-url={self._world.release_notes_url}"]
        chosen = [f"--namespace={NAMESPACE}", f"--target-version={self._after}", "--settle=0"]
        self._run([sys.executable, "-m", "pytest", suite, *chosen, *source, *own, *options])

    def empty(self) -> None:
        """Lose what is in the home."""
        script = "cd && find . -mindepth 1 -maxdepth 1 ! -name .local -exec rm -rf {} + || :"
        where = ("exec", f"deploy/{AGENT}", "--container=openab")
        self._world.kubectl("--namespace", NAMESPACE, *where, "--", "sh", "-c", script)

    def restore(self) -> None:
        """Restore the newest backup."""
        newest = max((self._scratch / "backups").glob("openab-backup-*"))
        self.suite("suites/restore", f"--backup={newest}")

    def plain(self) -> Cost:
        """The commands of the SOP, as somebody types them."""
        return self._measured(self._typed)

    def helm_only(self) -> Cost:
        """``helm upgrade`` and nothing else."""
        values = self._values()
        upgrade = ["helm", "upgrade", "openab", str(self._world.package(self._after)), f"--values={values}"]
        return self._measured(lambda: self._run(upgrade))

    def _typed(self) -> None:
        """Section 0 to III of the SOP 1.5, without a pre-release, each command as it stands there.

        But for the selector of the pod, which the chart no longer matches, and the registry, which speaks HTTP.
        Source: https://github.com/openabdev/openab, ``docs/openab-upgrade-sop.md``.
        """
        kept, chart = self._scratch / "typed", f"{self._world.registry()}/openab --plain-http"
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir()
        pod = f"$({KUBECTL} get pod -l {SELECTOR} -o jsonpath='{{.items[0].metadata.name}}')"
        upgrade = f"helm upgrade openab {chart} --version {self._after} -f {kept}/values.yaml"
        for line in (
            f"{KUBECTL} config current-context",
            f"{KUBECTL} cluster-info",
            "helm list -o json",
            "helm list -f openab -o json",
            f"helm show chart {chart}",
            f"helm show chart {chart} --version {self._after}-beta.1",
            f"{KUBECTL} describe nodes",
            f"{KUBECTL} top nodes",
            f"{KUBECTL} exec {pod} -- which tar",
            f"helm get values openab -o yaml > {kept}/values.yaml",
            f"{KUBECTL} cp {pod}:/home/agent/.kiro/agents/ {kept}/agents/",
            f"{KUBECTL} cp {pod}:/home/agent/.kiro/steering/ {kept}/steering/",
            f"pod={pod}; {KUBECTL} exec $pod -- test -d /home/agent/.kiro/skills;"
            f" {KUBECTL} cp $pod:/home/agent/.kiro/skills/ {kept}/skills/",
            f"pod={pod}; {KUBECTL} cp $pod:/home/agent/.config/gh/hosts.yml {kept}/hosts.yml;"
            f" {KUBECTL} cp $pod:/home/agent/.local/share/kiro-cli/data.sqlite3 {kept}/kiro-auth.sqlite3",
            f"{KUBECTL} get secret {AGENT} -o yaml > {kept}/secret.yaml",
            f"helm history openab > {kept}/helm-history.txt",
            f"helm history openab --output json > {kept}/helm-history.json",
            f"pod={pod}; {KUBECTL} exec $pod -- du -sb /home/agent; {KUBECTL} exec $pod -- du -sh /home/agent;"
            f" {KUBECTL} cp $pod:/home/agent/ {kept}/pvc-data/",
            f"{upgrade} --dry-run=client",
            upgrade,
            f"{KUBECTL} rollout status deployment/{AGENT} --timeout=300s",
            f"pod={pod}; {KUBECTL} get pod -l {SELECTOR}; {KUBECTL} wait --for=condition=Ready pod/$pod --timeout=120s;"
            f" helm list -f openab -o json; {KUBECTL} get deployment/{AGENT} -o jsonpath='{{.spec}}';"
            f" {KUBECTL} exec $pod -- pgrep -x openab; {KUBECTL} logs deployment/{AGENT} --tail=100;"
            f" {KUBECTL} logs deployment/{AGENT} --tail=100; {KUBECTL} exec $pod -- ls /home/agent/.kiro/steering/;"
            f" {KUBECTL} exec $pod -- cat /home/agent/.kiro/agents/default.json",
        ):
            self._run(["sh", "-c", line])

    def _measured(self, upgrade: Callable[[], None]) -> Cost:
        self._count.write_text("")
        agent = Agent.of(self._cluster.get("Deployment", AGENT))
        with OutageWatch(self._cluster, [agent]) as watch:
            begun = time.monotonic()
            upgrade()
            seconds = time.monotonic() - begun
            deadline = time.monotonic() + 60
            while (not watch.outages()[0].gaps or watch.outages()[0].open) and time.monotonic() < deadline:
                time.sleep(0.1)
        return Cost(watch.outages()[0].seconds, seconds, len(self._count.read_text().splitlines()))

    def _values(self) -> Path:
        path = self._scratch / "values.yaml"
        path.touch(0o600)
        path.write_text(self._world.helm(["get", "values", "openab", "--namespace", NAMESPACE, "--output=yaml"]))
        return path

    def _run(self, command: list[str]) -> None:
        env = {**self._env, "HELM_NAMESPACE": NAMESPACE}
        done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0 and command[0] != "sh":
            raise SystemExit(done.stdout.decode(errors="replace"))

    def _shims(self, env: dict[str, str]) -> Path:
        """Make commands that count how often they are started; both sides pay for it alike."""
        directory = self._scratch / "bin"
        directory.mkdir()
        tools = Path(env["PATH"].split(":")[0])
        for name in ("kubectl", "helm"):
            shim = directory / name
            shim.write_text(_SHIM.format(count=self._count, tool=tools / name))
            shim.chmod(0o700)
        return directory


@contextmanager
def bench_of(before: str, after: str) -> Generator[Bench]:
    """A release to upgrade on the sandbox, gone afterwards."""
    world = World(Sandbox())
    world.publish(print)
    status = Sandbox().status()
    env = os.environ | {"PATH": f"{status.bin}:{os.environ['PATH']}", "KUBECONFIG": str(status.kubeconfig)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # an operator's Python keeps what it has compiled
    with TemporaryDirectory(prefix="openab-bench-") as scratch:
        yield Bench(world, Path(scratch), env, before, after)
    world.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.upgrade")
    parser.add_argument("--runs", type=int, default=5)
    runs: int = parser.parse_args().runs
    with bench_of(BEFORE, AFTER) as bench:
        taken: dict[str, list[Cost]] = {"ours": [], "plain": [], "helm": []}
        for _ in range(runs):
            for name, upgrade in (("ours", bench.ours), ("plain", bench.plain), ("helm", bench.helm_only)):
                taken[name].append(upgrade())
                bench.back()
    ours, plain, helm = (taken[name] for name in ("ours", "plain", "helm"))
    outage = median(ours, "outage") / median(helm, "outage")
    print("| outage / helm upgrade | time / plain script | processes / plain script |\n|---|---|---|")
    print(
        f"| {outage:.2f} ({median(ours, 'outage'):.1f} s) "
        f"| {median(ours, 'seconds') / median(plain, 'seconds'):.2f} ({median(ours, 'seconds'):.1f} s) "
        f"| {median(ours, 'processes') / median(plain, 'processes'):.2f} ({median(ours, 'processes'):.0f}) |"
    )


def median(costs: list[Cost], name: str) -> float:
    """Return the median of one of the figures."""
    return statistics.median(float(getattr(cost, name)) for cost in costs)


if __name__ == "__main__":
    main()
