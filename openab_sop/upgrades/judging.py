"""How the agents of a release fare after a change, as the policy has it (SOP 3.2, 4.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from openab_sop.agents.agent import Runner
from openab_sop.releases.release import Release
from openab_sop.rollouts import health
from openab_sop.rollouts.health import await_all_healthy
from openab_sop.rollouts.problem import Symptom
from openab_sop.upgrades import fingerprint
from openab_sop.upgrades.maintenance import Maintenance
from openab_sop.verdict import Verdict


@dataclass(frozen=True)
class Judged:
    """The verdict, and by Deployment what is wrong with it."""

    verdict: Verdict
    symptoms: Mapping[str, frozenset[Symptom]]


def judge(
    maintenance: Maintenance,
    release: Release,
    runners: Sequence[Runner],
    *,
    fresh: bool = False,
    from_now: bool = False,
) -> Judged:
    """Wait until every one of these runs well and has done so for a while, or one fails.

    Args:
        runners: agents and companions of the release.
        fresh: whether no pod of before may be left.
        from_now: whether restarts until now do not count: the version was judged before.

    Raises:
        ClusterError: the API did not answer for too long, or refused.
    """
    policy, before = maintenance.policy, fingerprint.baselines(maintenance.state, fresh=fresh)
    if from_now:
        now = {
            fingerprint.identity_of(one): health.baseline(release.cluster, one, policy.patterns).restarts
            for one in runners
        }
        before = {name: replace(mark, restarts=now.get(name, mark.restarts)) for name, mark in before.items()}
    before = {one.deployment: before[name] for one in runners if (name := fingerprint.identity_of(one)) in before}
    for one in runners:
        if (mark := before.get(one.deployment)) and mark.chats:
            chats = fingerprint.configured(release.cluster, one, mark.chats)
            before[one.deployment] = replace(mark, chats=chats)
    judgements = await_all_healthy(release.cluster, runners, policy.patterns, policy.limits, before)
    findings = tuple(finding for judgement in judgements for finding in judgement.findings)
    return Judged(
        Verdict("\n  ".join(map(str, judgements)), findings),
        {j.agent: frozenset({j.symptom}) for j in judgements if j.symptom},
    )
