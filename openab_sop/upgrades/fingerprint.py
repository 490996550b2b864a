"""How agents are right before a change: what the version after it is compared with (SOP 3.2, 3.5)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterable, Mapping

from openab_sop import bounded
from openab_sop.agents.agent import Agent, Companion, Runner
from openab_sop.backups.backup import BackupManifest
from openab_sop.cluster.kube import Cluster
from openab_sop.errors import InvalidDocument, NotFound
from openab_sop.objects import at, part
from openab_sop.releases.identity import uid
from openab_sop.releases.release import Release
from openab_sop.releases.upgrade_state import Before, UpgradeState
from openab_sop.rollouts import health
from openab_sop.rollouts.logs import Patterns
from openab_sop.rollouts.problem import Baseline
from openab_sop.upstream.configuration import CONFIGURATION
from openab_sop.upstream.log_lines import CHATS


def before(release: Release, patterns: Patterns) -> dict[str, Before]:
    """Take down how each agent and companion is now, by what it was called before the upgrade."""
    found: dict[str, Before] = {}
    for runner in (*release.agents, *release.companions):
        seen = health.baseline(release.cluster, runner, patterns)
        restarts = {uid: dict(counts) for uid, counts in seen.restarts.items()}
        config = _config(release.cluster, runner) if isinstance(runner, Agent) else ""
        found[identity_of(runner)] = Before(
            restarts, tuple(seen.complaints), config, seen.well, tuple(sorted(seen.chats)), seen.jobs
        )
    return found


def identity_of(runner: Runner) -> str:
    """Return the name by which an agent or a companion is known before and after a change."""
    return runner.identity if isinstance(runner, Agent) else runner.deployment


def judgeable(release: Release, state: UpgradeState, known: Container[str]) -> list[Companion]:
    """Return the companions that a version answers for: those that ran well before it, or are new with it.

    Args:
        known: what of the release kept pods running before the upgrade, by what it is called.
    """

    def answers(companion: Companion) -> bool:
        seen = state.before.get(companion.deployment)
        return seen.well if seen else companion.deployment not in known

    return [companion for companion in release.companions if companion.replicas and answers(companion)]


def baselines(state: UpgradeState, *, fresh: bool = False) -> dict[str, Baseline]:
    """Return what is not held against the agents' new pods, and what is demanded of them.

    Args:
        fresh: whether they are the old version's, after a rollback: no pod of before may be left, and what it was
            connected to before the upgrade counts.
    """
    return {
        name: Baseline(
            {} if fresh else seen.restarts,
            frozenset(seen.complaints),
            chats=frozenset(state.chats.get(name, ()) if fresh else seen.chats),
        )
        for name, seen in state.before.items()
    }


def configured(cluster: Cluster, agent: Runner, chats: frozenset[str]) -> frozenset[str]:
    """Return those of an agent's chats that its configuration still has; all of them where it cannot be read."""
    names = agent.config_maps if isinstance(agent, Agent) else ()
    bodies = [found for name in names if (found := cluster.find("ConfigMap", name))]
    texts = [str(text) for body in bodies for name, text in part(body, "data").items() if name == CONFIGURATION]
    try:
        trees = [bounded.load_toml(text, CONFIGURATION) for text in texts]
    except InvalidDocument:
        return chats
    sections = {section for tree in trees for section in tree}
    left_out = {chat.name for chat in CHATS if trees and chat.sections and sections.isdisjoint(chat.sections)}
    return chats - left_out


def outdated(release: Release, state: UpgradeState) -> list[Agent]:
    """Return the agents whose configuration is another than before the last change, and whose pod is still the same."""
    return [agent for agent in release.agents if _is_outdated(release.cluster, agent, state)]


def claims(release: Release, baseline: BackupManifest) -> dict[str, str]:
    """Return the UID of the claim of each volume that the baseline has, by the volume's key; empty if it is gone."""
    kept = {stored.key for stored in baseline.stored}
    return {v.key: uid(release.cluster, v) for v in release.mounted if v.claim and v.key in kept}


def uids(release: Release) -> set[str]:
    """Return the UIDs of the claims that the release's agents mount, of those that are there."""
    return {found for volume in release.mounted if (found := uid(release.cluster, volume))}


def without_claim(cluster: Cluster, agents: Iterable[Agent], state: UpgradeState) -> list[str]:
    """Return the volumes whose claim is another than before: it was replaced, is gone, or no agent has it.

    Args:
        agents: as ``identity.identified`` has them.

    Returns:
        Their keys.
    """
    mounted = {volume.key: volume for agent in agents for volume in agent.volumes}
    return [key for key, before in state.claims.items() if _uid(cluster, key, mounted) != before]


def _uid(cluster: Cluster, key: str, mounted: Mapping[str, Agent]) -> str:
    """Return the UID of a volume's claim now; a further one that is not mounted any more is looked for by its name."""
    if key in mounted:
        return uid(cluster, mounted[key])
    _, _, name = key.partition("/volumes/")
    found = cluster.find("PersistentVolumeClaim", name.partition("@")[0]) if name else None
    return str(at(found or {}, "metadata", "uid") or "")


def lost(release: Release, state: UpgradeState) -> list[str]:
    """Return the keys of the volumes that lack their claim, and that were not restored into another since."""
    lacking = without_claim(release.cluster, release.agents, state)
    return [name for name in lacking if name not in state.restored]


def unaccounted(release: Release, state: UpgradeState, given_up: Container[str] = ()) -> list[str]:
    """Return the keys of the volumes that are lost, and of those that no agent has any more: they cannot be compared.

    Args:
        given_up: keys of volumes that no agent needs to have.
    """
    lacking, mounted = lost(release, state), {volume.key for volume in release.mounted}
    found = [key for key in state.claims if key in lacking or key not in mounted]
    return [key for key in found if key in mounted or key not in given_up]


def _is_outdated(cluster: Cluster, agent: Agent, state: UpgradeState) -> bool:
    seen = state.before.get(agent.identity)
    if seen is None or seen.config == _config(cluster, agent):
        return False
    return any(str(at(pod, "metadata", "uid")) in seen.restarts for pod in cluster.list("Pod", agent.selector))


def _config(cluster: Cluster, agent: Agent) -> str:
    digest = hashlib.sha256()
    for kind, names in (("Secret", agent.secrets), ("ConfigMap", agent.config_maps)):
        for name in names:
            try:
                found = cluster.get(kind, name)
            except NotFound:
                found = {}
            data = [found.get("data"), found.get("binaryData")]
            digest.update(json.dumps([kind, name, data], sort_keys=True).encode())
    return digest.hexdigest()
