"""A release in a namespace of its own: planned by the library, harmed by plain helm, looked at by plain kubectl."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from openab_sop.cluster import kubeconfig
from openab_sop.cluster.helm import Helm
from openab_sop.cluster.kube import Cluster
from openab_sop.plans.judgement import PlanJudgement, judge
from openab_sop.plans.survey import Survey
from openab_sop.releases import release as releases
from sandbox import SandboxError, Status
from sandbox.processes import GARBAGE
from world import World

PATIENCE = 60
"""Seconds in which a harm must show."""


@dataclass(frozen=True)
class Ground:
    """One release, ``openab`` unless said otherwise, and a scratch directory for charts and values."""

    world: World
    status: Status
    namespace: str
    scratch: Path
    values: Mapping[str, Any]
    deployment: str = "openab-kiro"

    @cached_property
    def helm_cli(self) -> Helm:
        """Helm as the library runs it."""
        return Helm(Cluster(kubeconfig.resolve(str(self.status.kubeconfig), None, self.namespace)))

    def kubectl(self, *arguments: str) -> str:
        return self.world.kubectl("--namespace", self.namespace, *arguments)

    def judge(self, chart: Path) -> PlanJudgement:
        """What the plan says of an upgrade to a chart that is said to come from the world's registry."""
        release = releases.resolve(self.helm_cli, releases.find(self.helm_cli, None))
        return judge([Survey(release, source=self.world.registry()).plan(chart)], {})

    def helm(self, action: str, chart: Path, *arguments: str, helm: Path | None = None) -> str:
        """What helm, or the one given, says to an action of the release if it refuses; empty if it does not."""
        given = self.scratch / "values.json"
        given.write_text(json.dumps(self.values))
        command = [helm or self.status.bin / "helm", action, "openab", chart, "--values", given, *arguments]
        env = {
            "KUBECONFIG": str(self.status.kubeconfig),
            "HELM_NAMESPACE": self.namespace,
            "HOME": str(self.scratch),
            "GOGC": GARBAGE,
        }
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        return done.stderr if done.returncode else ""

    def find(self, kind: str, name: str = "") -> dict[str, Any]:
        """An object, empty if it is not there."""
        found = self.kubectl("get", kind, name or self.deployment, "--ignore-not-found", "--output=json")
        return json.loads(found) if found else {}

    def pods(self) -> list[dict[str, Any]]:
        """The agent's pods that are not ending."""
        items = json.loads(self.kubectl("get", "pods", "--output=json"))["items"]
        mine = (p for p in items if p["metadata"]["labels"].get("app.kubernetes.io/component", "").endswith("kiro"))
        return [pod for pod in mine if not pod["metadata"].get("deletionTimestamp")]

    def pod(self) -> dict[str, Any]:
        """The agent's only pod; empty if there is not exactly one."""
        pods = self.pods()
        return pods[0] if len(pods) == 1 else {}

    def container(self) -> dict[str, Any]:
        """The status of the agent's container; empty if it has none."""
        statuses: list[dict[str, Any]] = self.pod().get("status", {}).get("containerStatuses", [])
        return {name: value for status in statuses if status["name"] == "openab" for name, value in status.items()}

    def reason(self) -> str:
        """Why the agent's container does not run; empty if it does."""
        return str(self.container().get("state", {}).get("waiting", {}).get("reason", ""))

    def runs(self) -> bool:
        return "running" in self.container().get("state", {})

    def shell(self, script: str) -> str:
        """The output of a script in the agent's home; it runs as the agent."""
        where = ("exec", f"deploy/{self.deployment}", "--container=openab")
        return self.kubectl(*where, "--", "sh", "-c", f"cd; {script}")

    def config(self) -> str:
        """The agent's configuration as the cluster has it."""
        return str(self.find("configmap").get("data", {}).get("config.toml", ""))

    def untouched(self) -> tuple[str, ...]:
        """What a plan must leave as it is: versions of the objects that matter, and the pods."""
        kinds = "deployments,configmaps,secrets,persistentvolumeclaims,services"
        items = json.loads(self.kubectl("get", kinds, "--output=json"))["items"]
        found = ((item["kind"], item["metadata"]) for item in items)
        versions = (f"{kind}/{m['name']} {m['uid']} {m.get('generation')}" for kind, m in found)
        return (*sorted(versions), *sorted(pod["metadata"]["uid"] for pod in self.pods()))


def shows(harm: Callable[[], bool]) -> bool:
    """Whether something comes true in time; what kubectl cannot answer yet is not true yet."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if harm():
                return True
        except SandboxError:
            pass
        time.sleep(0.5)
    return False
