"""Every rule of the plan on the real node: a bad upgrade is named by it, and forced through it really hurts.

The stories run side by side: most of their time is waiting.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from openab_sop.plans import rules
from openab_sop.plans.plan import Plan
from openab_sop.rule import Rule
from sandbox import Status
from tests.integration.conftest import new_namespace
from tests.integration.plans import harm as h
from tests.integration.plans.ground import Ground, shows
from tests.integration.plans.harm import MARKER, Harm, Seen, nothing, subdirectory
from world import World
from world.harms import harms

SIDE_BY_SIDE = 4


@dataclass(frozen=True)
class Story:
    """An upgrade of a release from a version to another, or to the bad chart of the story's name.

    Attributes:
        harm: what is seen after it was forced through; None if helm refuses, which is the harm.
        values: of the agent, on top of those that make it connect; ``top``: of the chart.
        prepare: what is done after the installation, and before the plan.
        well: whether the release is to be waited for, and gets the marker.
        by_helm3: whether helm 3 has made the release: it is never applied server-side.
        rule: that must name it; empty for the one of the story's name.
    """

    harm: Harm | None
    to: str = ""
    start: str = "0.8.1"
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    top: Mapping[str, Any] = field(default_factory=dict[str, Any])
    prepare: Callable[[Ground], None] = nothing
    well: bool = True
    by_helm3: bool = False
    rule: str = ""


NUMBERS = {"discord": {"allowedChannels": ["1097261234567890123"]}}
GATEWAY = "openab-kiro-gateway"
SEED = {
    "name": "seed",
    "image": "openab.local/openab:0.8.1",
    "command": ["rm", "-f", "/home/agent/marker"],
    "volumeMounts": [{"name": "data", "mountPath": "/home/agent"}],
}
STORIES: dict[str, Story] = {
    "claim-deleted": Story(h.claim_gone, "0.9.0-renames-claim.1", "0.6.4"),
    "claim-orphaned": Story(h.marker_gone, "0.9.0-renames-claim.1"),
    "claim-lost": Story(h.claim_gone, "0.8.2", prepare=h.delete_claim),
    "claim-refused": Story(None),
    "persistence-off": Story(h.marker_gone),
    "home-moved": Story(h.marker_gone),
    "home-renamed": Story(h.other_home),
    "claim-missing": Story(h.pending),
    "protection-lost": Story(h.helm_uninstall_takes_the_claim),
    "chart-renamed": Story(h.other_chart),
    "override-honoured": Story(h.gone("deployment", "openab-kiro"), "0.7.0", "0.6.4", {"nameOverride": "helper"}),
    "agent-renamed": Story(h.there("deployment", "helper"), "0.7.0", "0.6.4", {"nameOverride": "helper"}),
    "agent-vanishes": Story(h.gone("deployment", "openab"), "0.6.4", "0.5.0"),
    "agent-appears": Story(h.there("deployment", "openab-kiro"), "0.6.4", "0.5.0"),
    "companion-vanishes": Story(
        h.gone("deployment", GATEWAY), values={"gateway": {"enabled": True, "url": f"ws://{GATEWAY}:8080/ws"}}
    ),
    "companion-appears": Story(h.there("deployment", GATEWAY)),
    "agent-off": Story(h.no_pod),
    "several-writers": Story(h.two_pods),
    "strategy-changed": Story(h.two_pods),
    "selector-changed": Story(None),
    "image-unchanged": Story(h.same_image, "0.9.0-same-image.1"),
    "image-cached": Story(h.same_image, "0.8.2", top={"image": {"tag": "latest"}}),
    "image-floats": Story(h.never_runs, top={"image": {"tag": "latest"}}),
    "image-flavour": Story(h.other_image),
    "image-missing": Story(h.never_runs),
    "image-untold": Story(h.never_runs, "0.9.0-no-image.1"),
    "adapter-off": Story(h.in_config("[discord]", there=False), values={"discord": {"enabled": None}}),
    "setting-gone": Story(h.in_config("[reactions]", there=False), "0.9.0-config-only.1"),
    "setting-changed": Story(h.in_config("max_sessions = 2")),
    "setting-type": Story(h.never_runs),
    "number-mangled": Story(h.in_config("1.097261e+18"), values=NUMBERS),
    "unreadable": Story(h.never_runs),
    "reference-missing": Story(h.never_runs),
    "variable-unset": Story(h.never_runs),
    "variable-gone": Story(h.without_variable, values={"env": {"GH_HOST": "git.example.test"}}),
    "value-ignored": Story(h.in_config("session_ttl_hours = 24"), values={"pool": {"sessionTtlHours": 7}}),
    "not-restarted": Story(h.runs_on, "0.9.0-config-only.1"),
    "edit-overwritten": Story(h.token_taken_back, "0.8.2", prepare=h.renew_token, by_helm3=True),
    "edit-lost": Story(h.label_lost, "0.8.2", prepare=h.label_claim, by_helm3=True),
    "edit-in-the-way": Story(None, "0.8.2", prepare=h.renew_token),
    "object-gone": Story(h.there("configmap", "openab-kiro"), "0.8.2", prepare=h.delete_config),
    "does-not-render": Story(None),
    "helm-refuses": Story(None, prepare=h.make_more),
    "release-not-deployed": Story(h.failed_before, "0.8.2", prepare=h.fail_once),
    "agent-unwell": Story(h.still_unwell, "0.9.0-refuses-arguments.1", "0.9.0-panics-at-start.1", well=False),
    "kind-unknown": Story(None),
    "object-refused": Story(None),
    "field-unknown": Story(None, rule="object-refused"),
    "pod-refused": Story(h.no_pod, prepare=h.restrict),
    "quota-exceeded": Story(h.no_pod, prepare=h.limit),
    "storage-class-missing": Story(h.pending),
    "hook-deletes": Story(h.secret_lost),
    "hook-runs": Story(h.job_ran),
    "beyond-namespace": Story(h.made_elsewhere),
    "grants-rights": Story(h.may_read_secrets),
    "host-access": Story(h.sees_the_node),
    "file-covered": Story(h.covered, "0.8.0", "0.7.0", {"agentsMd": "# From the chart\n"}, prepare=h.own_instructions),
    "user-changed": Story(h.cannot_write),
    "writes-at-start": Story(h.marker_gone, "0.8.2", values={"extraInitContainers": [SEED]}),
    "downgrade": Story(h.never_runs, "0.8.1", "0.9.0-migrates-data.1"),
}
"""By rule, or by bad chart: an upgrade that must be named, and what it does."""
TOLD_BY_TABLE = {"file-moved", "migration-skipped", "state-outside"}
"""Rules that go by what is known of versions and of config.toml: the unit tests try them; there is nothing to force."""
TRIED_AS_SUITES = {"not-from-chart", "not-validated", "owned-elsewhere", "rights-missing"}
"""Rules whose harm takes another caller, another actor, or other arguments: test_additions.py, test_upgrade_faults.py,
test_others.py, test_rights.py."""


def every_rule() -> dict[str, Rule[Plan]]:
    return {rule.name: rule for subject in rules.SUBJECTS.values() for rule in subject}


def test_every_rule_has_its_story() -> None:
    told = {story.rule or name for name, story in STORIES.items()}
    assert set(every_rule()) == told | TOLD_BY_TABLE | TRIED_AS_SUITES
    assert set(harms()) <= set(STORIES)


@dataclass(frozen=True)
class Outcome:
    """What the plan said, whether it left everything alone, and what helm and the cluster did then."""

    found: Mapping[str, str]
    untouched: bool
    refused: str
    harmed: bool


def tell(world: World, status: Status, helm3: Path, name: str, scratch: Path) -> Outcome:
    story = STORIES[name]
    agent = merged(world.agent_values(), story.values)
    agent = merged(agent, {"env": {"OPENAB_WRITE_INTERVAL": "0"}})
    single = story.start in ("0.3.3", "0.5.0")
    values = {**(agent if single else {"agents": {"kiro": agent}}), **story.top}
    chart = world.package(story.to) if story.to else world.harmful(name, subdirectory(scratch, "chart"))
    with new_namespace(world) as namespace:
        ground = Ground(world, status, namespace, scratch, values, "openab" if single else "openab-kiro")
        if story.by_helm3:
            assert ground.helm("install", world.package(story.start), "--wait", helm=helm3 / "helm") == ""
        else:
            world.install("openab", namespace, story.start, values, wait=story.well)
        if story.well:
            ground.shell(f"echo '{MARKER}' >marker")
        else:
            assert shows(lambda: ground.container().get("restartCount", 0) > 0)
        before = Seen.of(ground)
        story.prepare(ground)
        seen = ground.untouched()
        found = {harm.rule.name: str(harm.rule.severity) for harm in ground.judge(chart).findings}
        untouched = ground.untouched() == seen
        refused = ground.helm("upgrade", chart, "--timeout=30s")
        harm = story.harm
        harmed = bool(refused) if harm is None else shows(lambda: harm(ground, before))
        return Outcome(found, untouched, refused, harmed)


@pytest.fixture(scope="module")
def outcomes(
    world: World,
    status: Status,
    helm3: Path,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[dict[str, Future[Outcome]]]:
    """Every story that is asked for, told or being told."""
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(SIDE_BY_SIDE) as several:
        patch.setenv("PATH", f"{status.bin}{os.pathsep}{os.environ['PATH']}")
        root = tmp_path_factory.mktemp("harms")
        asked = " ".join(item.nodeid for item in request.session.items)
        told = [name for name in STORIES if f"[{name}]" in asked]
        yield {name: several.submit(tell, world, status, helm3, name, subdirectory(root, name)) for name in told}


@pytest.mark.parametrize("story", STORIES)
def test_it_is_named_before_and_hurts_if_it_is_forced_through(story: str, outcomes: dict[str, Future[Outcome]]) -> None:
    end, rule = outcomes[story].result(), STORIES[story].rule or story
    assert end.found.get(rule) == str(every_rule()[rule].severity), end
    assert end.untouched, end
    assert end.harmed, end


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Values with others on top, maps joined; None takes a value out."""
    both = dict(one)
    for key, value in other.items():
        both[key] = merged(one.get(key) or {}, cast(dict[str, Any], value)) if isinstance(value, dict) else value
    return {key: value for key, value in both.items() if value is not None}
