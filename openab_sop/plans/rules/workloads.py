"""Whether the Deployments of the target are those that run, as many and replaced as before."""

from __future__ import annotations

from collections.abc import Iterator

from openab_sop.escape import command
from openab_sop.objects import at
from openab_sop.plans.plan import Plan
from openab_sop.rule import blocks, warns
from openab_sop.verdict import Finding

ANEW = "back up, uninstall it, install the target, and bring the homes back: pytest suites/restore"
"""The way to a version that Helm cannot upgrade to."""


@warns("chart-renamed", "Names and labels come from the chart's name: tools that look for the old ones find nothing.")
def chart_renamed(plan: Plan) -> Iterator[Finding]:
    """The target's chart has another name. Other rules report what that changes."""
    if plan.current.name != plan.target.name:
        yield Finding(
            plan.release,
            f"its chart would be {plan.target.name}",
            plan.current.name,
            "fullnameOverride and nameOverride in the values keep the names; see the other findings",
        )


@blocks("agent-renamed", "The new Deployment starts while the old one stops: for a moment there are two bots, or none.")
def agent_renamed(plan: Plan) -> Iterator[Finding]:
    """An agent of the values gets a Deployment with another name."""
    for old, new in plan.staying:
        if old.name != new.name:
            yield Finding(
                old.name,
                f"its Deployment would be {new.name}",
                old.name,
                plan.in_values(f"nameOverride={old.name}", of=new),
            )


@blocks("agent-vanishes", "The agent is gone after the upgrade; nobody answers in its channels.")
def agent_vanishes(plan: Plan) -> Iterator[Finding]:
    """An agent of the release is not in the target."""
    for change in plan.agents:
        if change.after is None:
            yield Finding(
                change.name,
                "the target does not have it: its Deployment is deleted",
                "every agent that runs",
                "find out how the target's values name agents: helm show values CHART",
            )


@blocks("agent-appears", "An agent that nobody asked for starts with an empty home, or crashes without a token.")
def agent_appears(plan: Plan) -> Iterator[Finding]:
    """The target has an agent that the release does not have, with the same values."""
    for change in plan.agents:
        if change.before is None and change.after and change.after.replicas:
            yield Finding(
                change.name,
                "the target adds it, with the same values",
                "the agents that run",
                plan.in_values("enabled=false", of=change.after),
            )


@blocks("companion-vanishes", "What it provided, such as the connection to a chat platform, is gone.")
def companion_vanishes(plan: Plan) -> Iterator[Finding]:
    """A workload of the release that is not an agent is missing from the target, with the same values."""
    for change in plan.companions:
        if change.before and change.before.replicas and (change.after is None or not change.after.replicas):
            yield Finding(
                change.name,
                "the target does not run it",
                "everything of the release that runs",
                "find out what the target's values call it: helm show values CHART",
            )


@warns("companion-appears", "It needs room, an image and rights that the release did not need before.")
def companion_appears(plan: Plan) -> Iterator[Finding]:
    """The target has a workload that the release does not have, and that is not an agent."""
    for change in plan.companions:
        if change.after and change.after.replicas and (change.before is None or not change.before.replicas):
            next_step = "read in the release notes what it is for"
            yield Finding(change.name, "the target adds it", "what runs now", next_step)


@blocks("agent-off", "The agent is scaled to zero; nobody answers in its channels.")
def agent_off(plan: Plan) -> Iterator[Finding]:
    """An agent would have no pod."""
    for old, new in plan.staying:
        if old.replicas and not new.replicas:
            next_step = plan.in_values("enabled=true", "replicas=1", of=new)
            yield Finding(new.name, "it would have 0 replicas", "1", next_step)


@blocks("several-writers", "Two pods write to one volume: databases break, and the bot answers twice.")
def several_writers(plan: Plan) -> Iterator[Finding]:
    """An agent would have more than one replica."""
    for old, new in plan.staying:
        if new.replicas > 1 and new.replicas > old.replicas:
            next_step = plan.in_values("replicas=1", of=new)
            yield Finding(new.name, f"it would have {new.replicas} replicas", "1", next_step)


@blocks(
    "strategy-changed",
    "The new pod starts while the old one still writes to the volume, or waits for the volume forever.",
)
def strategy_changed(plan: Plan) -> Iterator[Finding]:
    """The new pod would no longer wait until the old one has stopped, although the volume has one writer."""
    for old, new in plan.staying:
        if new.claim and old.strategy == "Recreate" and new.strategy != "Recreate":
            next_step = plan.in_values("strategy.type=Recreate", of=new)
            yield Finding(new.name, f"its strategy would be {new.strategy}", "Recreate", next_step)


@blocks("selector-changed", "A Deployment's selector cannot be changed: Helm would stop halfway.")
def selector_changed(plan: Plan) -> Iterator[Finding]:
    """The label selector of a Deployment changes."""
    for key, old in plan.old.items():
        if key[0] == "Deployment" and key in plan.new:
            was, would = at(old, "spec", "selector"), at(plan.new[key], "spec", "selector")
            if was != would:
                yield Finding(
                    key[1],
                    f"its selector would be {would}",
                    str(was),
                    ANEW,
                )


@blocks("override-honoured", "Everything gets another name.")
def override_honoured(plan: Plan) -> Iterator[Finding]:
    """A nameOverride or fullnameOverride that had no effect takes effect in the target."""
    for effect in plan.effects:
        if effect.path[-1].endswith("Override") and effect.after and not effect.before:
            yield Finding(
                str(effect),
                "it was ignored so far, and the target goes by it",
                "names that stay",
                f"without {effect}: {command('pytest', 'suites', f'--target-version={plan.target.version}')} "
                f"--values=FILE; or {ANEW}",
            )


RULES = (
    chart_renamed,
    override_honoured,
    agent_renamed,
    agent_vanishes,
    agent_appears,
    companion_vanishes,
    companion_appears,
    agent_off,
    several_writers,
    strategy_changed,
    selector_changed,
)
