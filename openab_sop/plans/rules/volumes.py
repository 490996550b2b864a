"""The fate of every agent's volume: whether the agent finds its files after the upgrade, and where."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from openab_sop.agents.workload import Workload
from openab_sop.escape import command
from openab_sop.objects import at
from openab_sop.plans.plan import Plan
from openab_sop.releases.manifest import is_kept
from openab_sop.rule import blocks, warns
from openab_sop.verdict import Finding

CLAIM = "PersistentVolumeClaim"
_KEEP = "helm.sh/resource-policy=keep"


@blocks("claim-deleted", "Helm deletes the claim, and with it everything that the agent knows.")
def claim_deleted(plan: Plan) -> Iterator[Finding]:
    """The target lacks a claim of the release, and no policy keeps it."""
    agents = _claims(plan)
    for kind, claim in plan.old:
        if kind == CLAIM and plan.is_deleted((CLAIM, claim)):
            yield Finding(
                claim,
                f"the claim of {agents.get(claim, plan.release)} leaves the release and is deleted; "
                f"{_fate(plan, claim)}",
                "a claim that stays",
                f"{command('kubectl', 'annotate', 'pvc', claim, _KEEP)} keeps it; then bring it into the target's "
                "values (persistence.existingClaim)",
            )


@blocks("claim-orphaned", "The agent starts on an empty volume, as if it were new.")
def claim_orphaned(plan: Plan) -> Iterator[Finding]:
    """The agent gets another claim; its own claim stays unused."""
    for old, new in plan.staying:
        if old.claim and new.claim and old.claim != new.claim and not plan.is_deleted((CLAIM, old.claim)):
            there = "which is there already" if (CLAIM, new.claim) in plan.live else "a new, empty one"
            yield Finding(
                new.name,
                f"its claim would be {new.claim}, {there}; {old.claim} stays behind",
                f"claim {old.claim}",
                f"if the target has that, {plan.in_values(f'persistence.existingClaim={old.claim}', of=new)}",
            )


@blocks("claim-lost", "The agent starts on an empty volume, as if it were new.")
def claim_lost(plan: Plan) -> Iterator[Finding]:
    """A claim is gone, is being deleted, or has lost its volume."""
    for claim, agent in _claims(plan).items():
        live = plan.live.get((CLAIM, claim))
        gone = live is None and (CLAIM, claim) in plan.new
        if gone or at(live or {}, "metadata", "deletionTimestamp") or at(live or {}, "status", "phase") == "Lost":
            yield Finding(
                claim,
                f"the claim of {agent} is gone, is being deleted, or has lost its volume",
                "a claim that is Bound",
                f"find out who did that: {command('kubectl', 'describe', 'pvc', claim)}",
            )


@blocks("claim-refused", "A claim cannot be changed in this way: Helm would stop halfway.")
def claim_refused(plan: Plan) -> Iterator[Finding]:
    """The API refuses the claim as the target has it: another class, another access mode, or smaller."""
    for refusal in plan.refusals:
        if refusal.kind == CLAIM and refusal.reason == "refused":
            yield Finding(
                refusal.name,
                refusal.said,
                "a claim that the API takes",
                plan.in_values(
                    "persistence.size",
                    "persistence.storageClass",
                    of=plan.mounting(refusal.name),
                    how="as the claim has it now",
                ),
            )


@blocks("persistence-off", "The agent does not find its files, and what it writes is lost at the next restart.")
def persistence_off(plan: Plan) -> Iterator[Finding]:
    """An agent that has a claim would have none."""
    for old, new in plan.staying:
        if old.claim and new.claim is None:
            yield Finding(
                new.name,
                f"its home would be on no claim; it is on {old.claim} now",
                "its home on a claim",
                plan.in_values("persistence.enabled=true", of=new),
            )


@blocks("home-moved", "The volume is there, but the agent looks for its files in another place of it.")
def home_moved(plan: Plan) -> Iterator[Finding]:
    """The agent would read a part of its home, or a further volume, from another place of the volume, or from none."""
    for old, new in plan.staying:
        if old.claim is None or old.claim != new.claim:  # another rule's
            continue
        moved = ((was, would) for was, would in _places(old, new) if old.where(was) not in (None, new.where(would)))
        if place := next(moved, None):
            was, would = place
            yield Finding(
                new.name,
                f"{would} would be {_place(new, would)}; what the agent knows is {_place(old, was)}",
                "every part of the home where it was on the volume",
                f"move the files on the volume first, or {plan.in_values('workingDir', of=new)}",
            )


@warns("home-renamed", "The files are found, but configuration that names them by their full path is wrong.")
def home_renamed(plan: Plan) -> Iterator[Finding]:
    """HOME has another path and holds the same files."""
    for old, new in plan.staying:
        if old.home and new.home and old.home != new.home and old.claim:
            yield Finding(new.name, f"its home would be {new.home}", str(old.home), "look for whole paths in its files")


@blocks("claim-missing", "The pod waits forever for a claim that does not exist.")
def claim_missing(plan: Plan) -> Iterator[Finding]:
    """The target mounts a claim that neither the target nor the cluster has."""
    for change in plan.agents:
        for claim in dict.fromkeys(change.after.claims.values() if change.after else ()):
            if (CLAIM, claim) not in plan.new and (CLAIM, claim) not in plan.live:
                yield Finding(
                    f"{change.name}.{claim}",
                    f"it would mount claim {claim}, which is not there",
                    "a claim that exists",
                    f"check persistence.existingClaim; {command('kubectl', 'get', 'pvc', claim)}",
                )


@warns("protection-lost", "The next time the claim leaves the chart, Helm deletes it.")
def protection_lost(plan: Plan) -> Iterator[Finding]:
    """The target removes the keep policy from a claim."""
    for key, body in plan.old.items():
        if key[0] == CLAIM and key in plan.new and is_kept(body) and not is_kept(plan.new[key]):
            claim = key[1]
            yield Finding(
                claim,
                "the target has no keep policy for it",
                "helm.sh/resource-policy: keep",
                f"after the upgrade: {command('kubectl', 'annotate', 'pvc', claim, _KEEP)}",
            )


RULES = (
    claim_deleted,
    claim_orphaned,
    claim_lost,
    claim_refused,
    persistence_off,
    home_moved,
    home_renamed,
    claim_missing,
    protection_lost,
)


def _claims(plan: Plan) -> dict[str, str]:
    """Every claim that agents have now, and the agent."""
    olds = [change.before for change in plan.agents if change.before]
    return {claim: old.name for old in olds for claim in old.claims.values()}


def _places(old: Workload, new: Workload) -> Iterator[tuple[PurePosixPath, PurePosixPath]]:
    """Yield where volumes are or would be, as paths now and then: what is in the home goes with it."""
    for side in (old, new):
        for mount in side.mounts:
            if side.home is None or old.home is None or new.home is None:
                yield mount.path, mount.path
            elif side.home.is_relative_to(mount.path):
                yield old.home, new.home
            elif mount.path.is_relative_to(side.home):
                inside = mount.path.relative_to(side.home)
                yield old.home / inside, new.home / inside
            else:
                yield mount.path, mount.path


def _place(workload: Workload, path: PurePosixPath) -> str:
    where = workload.where(path)
    return f"at {where[1]} of claim {where[0]}" if where else "on no claim"


def _fate(plan: Plan, claim: str) -> str:
    volume = plan.volumes.get(claim)
    if volume is None:
        return "its volume goes the way that its reclaim policy says"
    policy = at(volume, "spec", "persistentVolumeReclaimPolicy")
    return "its volume too (reclaim policy Delete)" if policy == "Delete" else f"its volume stays (policy {policy})"
