"""A release that is upgraded as an operator does it, and what independent programs say of it afterwards."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sandbox import Status
from tests.integration.conftest import Run, Suites, new_namespace
from tests.integration.suites.conftest import Volumes
from world import World

AGENT = "openab-kiro"
DATABASE = ".local/share/kiro-cli/data.sqlite3"
FILES = {
    ".kiro/agents/default.json": '{"name": "default"}',
    ".kiro/steering/rules.md": "answer briefly",
    ".kiro/skills/greet/SKILL.md": "say hello",
    ".config/gh/hosts.yml": "github.com: {}",
    "marker": "this must never be lost",
}
"""What the agent knows before an upgrade, beside its database."""
_FILL = "; ".join(f"mkdir -p \"$(dirname {name})\"; printf %s '{text}' >{name}" for name, text in FILES.items())


@dataclass(frozen=True)
class Upgrading:
    """A release in a namespace of its own, and suites that maintain it."""

    world: World
    volumes: Volumes
    namespace: str
    suites: Suites

    def argv(self, *arguments: str) -> tuple[str, ...]:
        """A suite's arguments: the release, its chart source and notes, and short times."""
        source = f"--chart={self.world.registry('trials')}/openab"
        times = ("--settle=2", "--ready-timeout=15", "--connect-timeout=15")
        return (*arguments[:1], f"--namespace={self.namespace}", source, self.notes, *times, *arguments[1:])

    @property
    def notes(self) -> str:
        return f"--notes-url={self.world.release_notes_url}"

    def run(self, *arguments: str, env: Mapping[str, str] | None = None) -> Run:
        """Run a suite to its end."""
        return self.suites.run(*self.argv(*arguments), env=env, timeout=600)

    def kubectl(self, *arguments: str) -> str:
        return self.world.kubectl("--namespace", self.namespace, *arguments)

    def shell(self, script: str, agent: str = AGENT) -> str:
        """Run a script in an agent's home, as the agent."""
        return self.kubectl("exec", f"deploy/{agent}", "--container=openab", "--", "sh", "-c", f"cd && {script}")

    def fill(self, agent: str = AGENT) -> None:
        self.shell(_FILL, agent)

    def chart(self) -> str:
        """The chart's version and the status of the current revision, as helm lists them."""
        (release,) = json.loads(self.world.helm(["list", "--namespace", self.namespace, "--output=json"]))
        return f"{release['chart'].removeprefix('openab-')} {release['status']}"

    def ready(self) -> bool:
        """Whether every Deployment has all of its replicas, and at least one."""
        items = json.loads(self.kubectl("get", "deployments", "--output=json"))["items"]
        return all(d["status"].get("readyReplicas", 0) == d["spec"]["replicas"] > 0 for d in items)

    def crashed(self) -> bool:
        """Whether a container has ended by itself. One that crashes again and again is ready for moments in between."""
        pods = json.loads(self.kubectl("get", "pods", "--output=json"))["items"]
        states = [state for pod in pods for state in pod["status"].get("containerStatuses", [])]
        return any(state["restartCount"] or "terminated" in state["state"] for state in states)

    def image(self, agent: str = AGENT) -> str:
        """The tag of the image that runs."""
        selector = f"--selector=app.kubernetes.io/component={agent.removeprefix('openab-')}"
        pods = json.loads(self.kubectl("get", "pods", selector, "--output=json"))["items"]
        (pod,) = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
        return next(s["image"] for s in pod["status"]["containerStatuses"] if s["name"] == "openab").rpartition(":")[2]

    def claim(self, agent: str = AGENT) -> str:
        return self.kubectl("get", "pvc", agent, "--output=jsonpath={.metadata.uid}")

    def volume(self, agent: str = AGENT) -> Path:
        return self.volumes.of(self.namespace, agent)

    def kept(self, agent: str = AGENT) -> bool:
        """Whether every file of ``FILES`` is on the volume as it was, by its digest."""
        volume = self.volume(agent)
        return all(
            (path := volume / name).is_file()
            and hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(text.encode()).digest()
            for name, text in FILES.items()
        )

    def database(self, agent: str = AGENT) -> tuple[str, str, int]:
        """Integrity, user_version and rows of the agent's database, as the sqlite3 program has them."""
        query = "PRAGMA integrity_check; PRAGMA user_version; SELECT count(*) FROM heartbeat;"
        with TemporaryDirectory() as directory:
            for path in (self.volume(agent) / DATABASE).parent.glob("data.sqlite3*"):
                shutil.copy(path, directory)
            command = ["sqlite3", Path(directory, "data.sqlite3"), query]
            integrity, version, rows = subprocess.run(
                command, check=True, capture_output=True, text=True
            ).stdout.split()
        return integrity, version, int(rows)

    def standing(self) -> dict[str, str]:
        """What a rehearsal must leave as it is: objects by UID and version, pods, and every byte of the volumes."""
        kinds = "deployments,configmaps,secrets,persistentvolumeclaims,pods,services"
        items = json.loads(self.kubectl("get", kinds, "--output=json"))["items"]
        found = {f"{i['kind']} {i['metadata']['name']}": f"{i['metadata']['uid']} {_state(i)}" for i in items}
        agents = [i["metadata"]["name"] for i in items if i["kind"] == "Deployment"]
        return found | {agent: _digests(self.volume(agent)) for agent in agents}

    def copies(self) -> str:
        """What of this release's rehearsals is on the cluster."""
        label = "--selector=openab-sop/rehearsal"
        here = self.kubectl("get", "deployments,pods,jobs,secrets,configmaps,pvc", label, "--output=name")
        spaces = self.world.kubectl("get", "namespaces", label, "--output=name").split()
        return here + " ".join(name for name in spaces if name.startswith(f"namespace/{self.namespace}-"))

    def holder(self) -> str:
        """Who holds the release's lock; empty if nobody does, also if something is under way that waits."""
        lease = ("get", "leases", "openab-sop-openab", "--ignore-not-found")
        return self.kubectl(*lease, "--output=jsonpath={.spec.holderIdentity}")

    def leftovers(self) -> str:
        """What of ours is still on the cluster: lock, helper pods, marks on Deployments."""
        ours = "--selector=app.kubernetes.io/managed-by=openab-sop"
        found = self.kubectl("get", "leases,pods,persistentvolumeclaims", ours, "--output=name")
        return found + ("stopped" if "openab-sop" in self.kubectl("get", "deployments", "--output=yaml") else "")


def _state(item: Mapping[str, Any]) -> str:
    """What of an object changes if somebody changes it, and not by itself."""
    statuses = item.get("status", {}).get("containerStatuses", [])
    generation = item["metadata"].get("generation", item["metadata"]["resourceVersion"])
    return str([status["restartCount"] for status in statuses] if statuses else generation)


def _digests(home: Path) -> str:
    """The names in a home, with the digests of its files."""
    names = (path for path in sorted(home.rglob("*")) if path.is_file() and not path.is_symlink())
    return "\n".join(f"{name.relative_to(home)} {hashlib.sha256(name.read_bytes()).hexdigest()}" for name in names)


@contextmanager
def upgrading(
    world: World,
    status: Status,
    volumes: Volumes,
    directory: Path,
    version: str = "0.8.1",
    agents: tuple[str, ...] = ("kiro",),
    helm: Path | None = None,
    top: Mapping[str, Any] | None = None,
    each: Mapping[str, Any] | None = None,
) -> Generator[Upgrading]:
    """Install a release with filled homes, by another helm if one is given; its agents write only at their start.

    Args:
        top: further values of the release.
        each: further values of each agent.
    """
    own: dict[str, Any] = {name: {**quiet(world), **(each or {})} for name in agents}
    if "claude" in own:
        own["claude"] |= {"command": "claude-agent-acp", "image": "openab.local/openab-claude"}
    values = {"agents": own, **(top or {})}
    directory.mkdir(parents=True, exist_ok=True)
    with new_namespace(world) as namespace:
        if helm:
            (directory / "values.json").write_text(json.dumps(values))
            command = [helm, "install", "openab", world.package(version), "--values", directory / "values.json"]
            env = {"KUBECONFIG": str(status.kubeconfig), "HELM_NAMESPACE": namespace, "HOME": str(directory)}
            subprocess.run([*command, "--wait", "--timeout=60s"], check=True, env=env, stdout=subprocess.DEVNULL)
        else:
            world.install("openab", namespace, version, values)
        found = Upgrading(world, volumes, namespace, Suites.at(directory, status))
        for name in agents:
            found.fill(f"openab-{name}")
        yield found


def quiet(world: World) -> dict[str, Any]:
    """Values of an agent that connects and writes only at its start."""
    values = world.agent_values()
    return {**values, "env": {**values["env"], "OPENAB_WRITE_INTERVAL": "0"}}
