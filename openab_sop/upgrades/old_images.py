"""Which image each agent of the old version runs, or would run, and which one it ran before (SOP 4.2, 4.4)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from openab_sop.agents import prepull, scaling
from openab_sop.agents.agent import Agent
from openab_sop.agents.helper_pod import node_of, without_account
from openab_sop.agents.workload import Workload
from openab_sop.backups.backup import StoredAgent
from openab_sop.errors import ClusterError
from openab_sop.escape import command
from openab_sop.objects import Object, at, parts
from openab_sop.releases.release import Release
from openab_sop.upgrades.image_identity import MovedImage, NodeImages, holders, is_other, meaning
from openab_sop.upgrades.maintenance import Maintenance
from openab_sop.verdict import Finding, Verdict


class OldImages:
    """The images of the old version on a rollback.

    Args:
        by_hand: whether somebody asks for the rollback. Then a moved tag blocks unless it was accepted. Otherwise an
            agent must run in the end, and the summary names it.

    Attributes:
        moved: by agent, the images that run and are not those of before.
    """

    def __init__(self, maintenance: Maintenance, *, by_hand: bool) -> None:
        self.moved: dict[str, MovedImage] = {}
        self._m = maintenance
        self._by_hand = by_hand

    def require_before_stop(self) -> dict[str, str]:
        """Compare what the old references mean now with what ran before the upgrade.

        Returns:
            By agent, what is known, in words.

        Raises:
            NotPassed: a tag was moved, nobody accepted that, and the agents still run.
        """
        nodes, seen, moved = self._nodes(), dict[str, str](), list[MovedImage]()
        for stored, body in self._before():
            name, reference, before = stored.deployment, Workload(body).image, stored.image_id
            now = self._means(name, body, nodes)
            seen[name] = f"{reference} was {before}, and means {now or 'an image of unknown id'} now"
            if is_other(before, now, nodes):
                moved.append(MovedImage(name, reference, before, now, self._holders(name, body, before, nodes)))
        if self._by_hand and not self._stand_still():
            blocking = tuple(one.before_stop for one in moved if not self._is_accepted(one))
            Verdict("images of the old version", blocking).require()
        for one in moved:
            self._note(one)
        return seen

    def look(self, release: Release) -> None:
        """Take down which agents run another image than before, by the ids that their pods report."""
        before = {stored.deployment: (stored.image_id, Workload(body).image) for stored, body in self._before()}
        self.moved = {}
        for agent in release.agents:
            had, reference = before.get(agent.deployment, ("", ""))
            running = self._running(agent)
            nodes: NodeImages = self._nodes() if any(is_other(had, now) for now in running) else {}
            found = {now: is_other(had, now, nodes) for now in running}
            for now in (now for now, other in found.items() if other):
                moved = MovedImage(agent.deployment, reference, had, now, holders(had, nodes))
                self.moved[agent.deployment] = moved
                self._note(moved)
            if found and not any(other is not False for other in found.values()):
                self._m.notes.pop(_noted(agent.deployment), None)  # nodes had listed what was true a while ago

    def findings(self, release: Release) -> list[Finding]:
        """Return what the verification holds against the release: moved images that nobody has accepted."""
        selectors = {agent.deployment: agent.selector for agent in release.agents}
        return [
            moved.after_start(command("kubectl", "-n", release.namespace, "delete", "pods", "-l", selectors[name]))
            for name, moved in self.moved.items()
            if self._by_hand and not self._is_accepted(moved)
        ]

    def _before(self) -> Iterator[tuple[StoredAgent, Object]]:
        """Yield the agents that ran with an image of known id, and their old Deployments; a digest is never moved."""
        deployments = self._m.rebuild_spec().deployments
        for stored in self._m.baseline().manifest.agents:
            body = deployments.get(stored.deployment)
            if stored.image_id and body and Workload(body).replicas and "@" not in Workload(body).image:
                yield stored, body

    def _nodes(self) -> NodeImages:
        """Return what nodes list of their images; nothing if the caller may not look."""
        try:
            nodes = self._m.helm.cluster.all("Node")
        except ClusterError:
            return {}
        return {str(at(node, "metadata", "name")): prepull.listed_images(node) for node in nodes}

    def _means(self, name: str, body: Object, nodes: NodeImages) -> str:
        """Return the id of what an agent's old reference means now; empty if it is not known.

        By hand a pod of ours is tried: its id is of the image that kubelet would start, in the form that the baseline
        has. What nodes list is up to a minute old, and rarely all that they have.
        """
        cluster, workload, old = self._m.helm.cluster, Workload(body), Agent.of(body)
        tried = self._tried(name, body, workload.image, workload.pull_policy) if self._by_hand else ""
        return tried or meaning(workload.image, nodes, node_of(cluster, old))

    def _holders(self, name: str, body: Object, before: str, nodes: NodeImages) -> tuple[str, ...]:
        """Return the nodes that still have the image of before under its digest; by hand the agent's own is asked."""
        listed = holders(before, nodes)
        if listed or not self._by_hand or "@" not in before or not self._tried(name, body, before, "Never"):
            return listed
        node = node_of(self._m.helm.cluster, Agent.of(body))
        return (node,) if node else ()

    def _tried(self, name: str, body: Object, image: str, policy: str) -> str:
        """Return the id that an image has in a pod of ours beside the agent; empty if that cannot be had."""
        cluster = self._m.helm.cluster
        like = cluster.find("Deployment", name) or without_account(body)
        with suppress(prepull.ImageError, ClusterError):
            return prepull.pull(cluster, Agent.of(body), image, policy, like).image_id
        return ""

    def _stand_still(self) -> bool:
        """Tell whether an earlier run has stopped an agent: then going on is what brings it back."""
        cluster = self._m.helm.cluster
        found = (cluster.find("Deployment", agent.deployment) for agent in self._m.release().agents)
        return any(body is not None and scaling.noted_replicas(body) is not None for body in found)

    def _running(self, agent: Agent) -> set[str]:
        """Return the image ids that an agent's pods report, also where they crash."""
        pods = self._m.helm.cluster.list("Pod", agent.selector)
        present = [pod for pod in pods if not at(pod, "metadata", "deletionTimestamp")]
        every = [status for pod in present for status in parts(pod, "status", "containerStatuses")]
        return {str(s["imageID"]) for s in every if s["name"] == agent.container and s.get("imageID")}

    def _is_accepted(self, moved: MovedImage) -> bool:
        return moved.id in self._m.policy.accepted

    def _note(self, moved: MovedImage) -> None:
        """Have the summary name an image that is another than before, and why that was accepted."""
        self._m.notes[_noted(moved.agent)] = moved.warning
        if self._is_accepted(moved):
            self._m.notes[f"accepted {moved.id}"] = self._m.policy.reason


def _noted(agent: str) -> str:
    """Return how the summary calls an agent's image."""
    return f"image of {agent}"
