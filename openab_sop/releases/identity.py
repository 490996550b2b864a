"""Which volume of a backup a volume of the release is, whatever its Deployment is called by now (SOP 3.5, 4.3, 5.1).

An agent is known by the claim of its home, and not by the name of its Deployment: values may change the name, and two
agents may exchange theirs. Whatever compares, judges or restores an agent goes by ``Agent.key`` and
``Agent.identity``, which ``identified`` sets.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from openab_sop.agents.agent import Agent
from openab_sop.agents.workload import deployment_of, volume_key
from openab_sop.cluster.kube import Cluster
from openab_sop.errors import BackupError, NotFound, SettingsError
from openab_sop.objects import at

Parts = Callable[[], Mapping[str, str]]
"""Returns by key which part of its claim a home was; nothing of one that is not known."""
_NEW = ":new"
"""Follows the Deployment's name of an agent that has taken the name of another; no object can be called so."""


def no_parts() -> Mapping[str, str]:
    """Return nothing: it is not known which part of its claim a home was."""
    return {}


def uid(cluster: Cluster, agent: Agent) -> str:
    """Return the UID of a volume's claim; empty if it has none, or it is gone."""
    if agent.claim is None:
        return ""
    try:
        return str(at(cluster.get("PersistentVolumeClaim", agent.claim), "metadata", "uid"))
    except NotFound:
        return ""


def identified(
    cluster: Cluster, agents: Sequence[Agent], claims: Mapping[str, str], parts: Parts = no_parts
) -> tuple[Agent, ...]:
    """Return agents whose volumes have the keys of a backup's volumes that they are.

    Args:
        claims: UIDs of the backup's claims, by the volume's key.
        parts: called where the names of Deployments alone do not tell.

    Raises:
        ClusterError: the API did not answer, or refused.
    """
    own = [replace(agent, kept_as="", further=_own(agent.further)) for agent in agents]
    if not claims:
        return tuple(own)
    volumes = [volume for agent in own for volume in agent.volumes]
    claimed = {volume.claim: volume for volume in volumes if volume.claim}
    uids = {claim: uid(cluster, volume) for claim, volume in claimed.items()}
    keys = matched(volumes, uids, claims, {} if _is_plain(own, uids, claims) else _known(parts))
    return tuple(replace(_as(agent, keys), further=tuple(_as(one, keys) for one in agent.further)) for agent in own)


def matched(
    volumes: Iterable[Agent], uids: Mapping[str, str], claims: Mapping[str, str], parts: Mapping[str, str]
) -> dict[str, str]:
    """Match volumes of a release with those of a backup: by claim, else by the Deployment's name.

    A home is only ever matched with a home. Each key is given once.

    Args:
        volumes: of the release, under their own keys.
        uids: UIDs of their claims, by name.
        claims, parts: of the backup, by key, as ``identified`` has them.

    Returns:
        By own key: the backup's key, or the own one if the backup does not have the volume. If another volume has
        that, the key names a new agent.
    """
    found: dict[str, str] = {}
    every = list(volumes)

    def by_claim(volume: Agent, key: str) -> bool:
        now = uids.get(volume.claim or "", "")
        if not now or now != claims[key]:
            return False
        if volume.volume:  # the name says which claim it is, and which part
            return key == volume_key(deployment_of(key), volume.volume)
        return key == deployment_of(key) and parts.get(key, volume.part) == volume.part

    for of_home in (True, False):
        left = [volume for volume in every if bool(volume.volume) != of_home]
        pairs = [(volume, key) for volume in left for key in claims if by_claim(volume, key)]
        # several agents may have one claim: each keeps what its home says, then what its name says
        pairs.sort(key=lambda one: (_agent_of(one[0], found) != deployment_of(one[1]), one[0].key != one[1]))
        for volume, key in pairs:
            if volume.key not in found and key not in found.values():
                found[volume.key] = key
        for volume in left:
            if volume.key not in found:
                free = volume.key not in found.values()
                found[volume.key] = volume.key if free else volume_key(volume.deployment + _NEW, volume.volume)
    return found


def holders(agents: Iterable[Agent], keys: Collection[str]) -> set[str]:
    """Return the Deployments that have the volumes with these keys; of one that none has, what its own was called.

    After a change that was cut short, an agent's old Deployment and its new one may have the same volume.
    """
    volumes = [volume for agent in agents for volume in agent.volumes]
    found: set[str] = set()
    for key in keys:
        places = {(volume.claim, volume.part) for volume in volumes if volume.key == key and volume.claim}
        having = {one.deployment for one in volumes if one.key == key or (one.claim, one.part) in places}
        found |= having or {deployment_of(key)}
    return found


def _agent_of(volume: Agent, found: Mapping[str, str]) -> str:
    return deployment_of(found.get(volume.deployment, volume.deployment))


def _is_plain(agents: Iterable[Agent], uids: Mapping[str, str], claims: Mapping[str, str]) -> bool:
    """Tell whether every home of the backup is the only one on its claim, and has the name that it had."""
    homes = {key: uid for key, uid in claims.items() if key == deployment_of(key)}
    now = [(agent.deployment, uids.get(agent.claim or "", "")) for agent in agents]
    on_those = [(name, uid) for name, uid in now if uid in homes.values()]
    return len(set(homes.values())) == len(homes) == len(on_those) and set(on_those) == set(homes.items())


def _known(parts: Parts) -> Mapping[str, str]:
    try:
        return parts()
    except (BackupError, SettingsError):  # the backup is gone, or cannot be opened
        return {}


def _own(volumes: Iterable[Agent]) -> tuple[Agent, ...]:
    return tuple(replace(volume, kept_as="") for volume in volumes)


def _as(volume: Agent, keys: Mapping[str, str]) -> Agent:
    return replace(volume, kept_as=keys[volume.key] if keys[volume.key] != volume.key else "")
