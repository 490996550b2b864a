"""The fate of the volume: each way to lose it from sight, and ways near it that keep it."""

from __future__ import annotations

import pytest

from openab_sop.plans.plan import Plan, Refusal
from openab_sop.plans.rules import volumes
from tests.unit.openab_sop.plans.drawn import AGENT, CLAIM, HOME, claim, deployment, drawn, now, secret, then, told

LOST = {**claim(), "status": {"phase": "Lost"}}
ENDING = claim()
ENDING["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
OTHER = ((HOME, "", "other"),)
PARTS = ((f"{HOME}/.kiro", ".kiro"), (f"{HOME}/.local", ".local"))
DATA = ("/data", "", "data")
VOLUME = {AGENT: {"spec": {"persistentVolumeReclaimPolicy": "Retain"}}}
GATEWAY = deployment("rel-gateway", container="gateway", mounts=[("/var/lib/gateway", "", "gateway")])

CASES: dict[str, tuple[Plan, list[str]]] = {
    "nothing changes": (drawn(), []),
    # claim-deleted
    "the claim leaves the chart": (
        drawn(after=then(pvc={}, mounts=OTHER), live=[claim("other")]),
        ["claim-deleted:rel-kiro"],
    ),
    "it goes with its agent": (drawn(after=()), ["claim-deleted:rel-kiro", "agent-vanishes:rel-kiro"]),
    "it is mounted still": (drawn(after=then(pvc={})), ["claim-deleted:rel-kiro"]),
    "its volume would stay": (drawn(after=then(pvc={}), volumes=VOLUME), ["claim-deleted:rel-kiro"]),
    "another policy than keep": (
        drawn(after=then(pvc={}), live=[{**claim(), "metadata": {"name": AGENT, "annotations": {"a": "keep"}}}]),
        ["claim-deleted:rel-kiro"],
    ),
    "a claim beside the home leaves": (
        drawn(now(claim("data"), mounts=[(HOME, ""), DATA]), then(mounts=[(HOME, ""), DATA])),
        ["claim-deleted:data"],
    ),
    "a companion's claim leaves": (
        drawn(now(claim("gateway"), GATEWAY), then(GATEWAY)),
        ["claim-deleted:gateway"],
    ),
    "kept by policy on the live object only": (drawn(after=then(pvc={}), live=[claim(keep=True)]), []),
    "the policy was taken off by hand": (
        drawn(now(pvc=claim(keep=True)), then(pvc={}), live=[claim()]),
        ["claim-deleted:rel-kiro"],
    ),
    "a claim that the chart never had": (drawn(now(pvc={}), then(pvc={}), live=[claim()]), []),
    # claim-orphaned
    "another claim, a new one": (
        drawn(after=then(claim("other"), mounts=OTHER)),
        ["claim-orphaned:rel-kiro"],
    ),
    "another claim that is there already": (
        drawn(after=then(mounts=OTHER), live=[claim("other")]),
        ["claim-orphaned:rel-kiro"],
    ),
    "a claim under another volume's name": (
        drawn(
            after=then(
                more={"volumeMounts": [{"name": "x", "mountPath": HOME}]},
                pod={"volumes": [{"name": "x", "persistentVolumeClaim": {"claimName": AGENT}}]},
            ),
        ),
        [],
    ),
    # claim-lost
    "the claim has lost its volume": (drawn(live=[LOST]), ["claim-lost:rel-kiro"]),
    "the claim is being deleted": (drawn(live=[ENDING]), ["claim-lost:rel-kiro"]),
    "the claim was deleted by hand": (
        drawn(gone=[CLAIM]),
        ["claim-lost:rel-kiro", f"object-gone:{'/'.join(CLAIM)}"],
    ),
    "the claim is Bound": (drawn(live=[{**claim(), "status": {"phase": "Bound"}}]), []),
    # claim-refused
    "the API refuses the claim": (
        drawn(refusals=(Refusal(*CLAIM, "refused", "spec is immutable"),)),
        ["claim-refused:rel-kiro"],
    ),
    "a quota refuses it": (
        drawn(refusals=(Refusal(*CLAIM, "quota", "exceeded quota"),)),
        ["quota-exceeded:PersistentVolumeClaim/rel-kiro"],
    ),
    "it grows": (drawn(after=then(pvc=claim(size="2Gi"))), []),
    # persistence-off
    "no claim at all": (
        drawn(after=then(pvc={}, mounts=())),
        ["claim-deleted:rel-kiro", "persistence-off:rel-kiro"],
    ),
    "a home beside the claim": (
        drawn(after=then(home="/root")),
        ["persistence-off:rel-kiro", "home-renamed:rel-kiro"],
    ),
    "an agent that had none": (drawn(now(pvc={}, mounts=()), then(pvc={}, mounts=())), []),
    "an agent that gets one": (drawn(now(pvc={}, mounts=()), then()), []),
    # home-moved, home-renamed
    "a part of the claim in place of the whole": (
        drawn(after=then(mounts=[(HOME, "home")])),
        ["home-moved:rel-kiro"],
    ),
    "the whole claim in place of a part": (drawn(now(mounts=[(HOME, "home")]), then()), ["home-moved:rel-kiro"]),
    "the mount moves and HOME does not": (
        drawn(after=then(mounts=[(f"{HOME}/data", "")])),
        ["home-moved:rel-kiro"],
    ),
    "HOME moves below the mount": (
        drawn(after=then(home=f"{HOME}/kiro")),
        ["home-moved:rel-kiro", "home-renamed:rel-kiro"],
    ),
    "parts of it in place of the whole": (drawn(after=then(mounts=PARTS)), ["home-moved:rel-kiro"]),
    "one part is left out": (drawn(now(mounts=PARTS), then(mounts=PARTS[:1])), ["home-moved:rel-kiro"]),
    "another claim over a part of it": (
        drawn(after=then(claim("data"), mounts=[(HOME, ""), (f"{HOME}/.kiro", "", "data")])),
        ["home-moved:rel-kiro"],
    ),
    "a volume beside the home moves": (
        drawn(now(mounts=[(HOME, "home"), ("/data", "data")]), then(mounts=[(HOME, "home"), ("/var/data", "data")])),
        ["home-moved:rel-kiro"],
    ),
    "a volume beside the home is mounted no more": (
        drawn(now(claim("data"), mounts=[(HOME, ""), DATA]), then(claim("data"))),
        ["home-moved:rel-kiro"],
    ),
    "another volume beside the home": (drawn(after=then(claim("data"), mounts=[(HOME, ""), DATA])), []),
    "home and mount move together": (
        drawn(after=then(home="/home/node", mounts=[("/home/node", "")])),
        ["home-renamed:rel-kiro"],
    ),
    "a mount above the home": (drawn(now(mounts=[(HOME, "agent")]), then(mounts=[("/home", "")])), []),
    "parts merged to the whole": (drawn(now(mounts=PARTS), then()), []),
    "parts in another order": (drawn(now(mounts=PARTS), then(mounts=PARTS[::-1])), []),
    "HOME is said in so many words": (drawn(now(home=None), then()), []),
    "HOME with a slash at its end": (drawn(after=then(home=f"{HOME}/")), []),
    # claim-missing
    "a claim that is nowhere": (
        drawn(after=then(mounts=OTHER)),
        ["claim-orphaned:rel-kiro", "claim-missing:rel-kiro.other"],
    ),
    "two that are nowhere": (
        drawn(after=then(mounts=[(HOME, ""), DATA, ("/x", "", "x")])),
        ["claim-missing:rel-kiro.data", "claim-missing:rel-kiro.x"],
    ),
    "one that only another container mounts": (
        drawn(
            after=then(
                pod={
                    "volumes": [
                        {"name": AGENT, "persistentVolumeClaim": {"claimName": AGENT}},
                        {"name": "config", "configMap": {"name": AGENT}},
                        {"name": "x", "persistentVolumeClaim": {"claimName": "x"}},
                    ]
                }
            )
        ),
        ["claim-missing:rel-kiro.x"],
    ),
    "an existing claim": (drawn(now(pvc={}), then(pvc={}), live=[claim()]), []),
    # protection-lost
    "the chart's policy goes": (drawn(now(pvc=claim(keep=True))), ["protection-lost:rel-kiro"]),
    "the chart's policy comes": (drawn(after=then(pvc=claim(keep=True))), []),
    "the policy stays": (drawn(now(pvc=claim(keep=True)), then(pvc=claim(keep=True))), []),
    "a policy by hand, of which the chart knows nothing": (drawn(live=[claim(keep=True)]), []),
    "a Secret is no claim": (drawn(now(secret("x", keep=True)), then(secret("x"))), []),
}


@pytest.mark.parametrize(("plan", "found"), CASES.values(), ids=CASES)
def test_what_becomes_of_the_volume(plan: Plan, found: list[str]) -> None:
    assert told(plan) == found


def test_every_rule_has_a_case() -> None:
    assert {rule.name for rule in volumes.RULES} <= {id.partition(":")[0] for _, ids in CASES.values() for id in ids}


def test_a_claim_that_goes_says_whether_its_volume_does() -> None:
    for policy, word in ("Retain", "stays"), ("Delete", "too"), ("", "reclaim policy says"):
        known = {AGENT: {"spec": {"persistentVolumeReclaimPolicy": policy}}} if policy else {}
        (found,) = volumes.claim_deleted.judge(drawn(after=then(pvc={}), volumes=known))
        assert f"the claim of {AGENT} leaves" in found.observed
        assert word in found.observed


def test_a_home_that_moves_says_from_where_to_where() -> None:
    (found,) = volumes.home_moved.judge(drawn(now(mounts=PARTS), then(mounts=[PARTS[0], (PARTS[1][0], "elsewhere")])))
    assert found.observed == (
        f"{HOME}/.local would be at elsewhere of claim {AGENT}; what the agent knows is at .local of claim {AGENT}"
    )
