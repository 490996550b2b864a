"""The plan as an operator meets it: read-only, blocking, and passed on purpose; judged from outside."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import Status
from tests.integration.conftest import Suites
from tests.integration.suites import callers
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.upgrades import Upgrading, quiet, upgrading
from world import World

BAD, ID = "0.9.0-same-image.1", "image-unchanged:openab-kiro"
RIGHTS: list[dict[str, list[str]]] = [
    {
        "apiGroups": [""],
        "resources": ["secrets", "configmaps", "persistentvolumeclaims"],
        "verbs": ["get", "list", "patch"],
    },
    {"apiGroups": [""], "resources": ["pods", "pods/exec"], "verbs": ["get", "list", "create"]},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "create", "patch"]},
]
"""What a plan takes; nodes, volumes and storage classes are not among it."""
LOOKING = {"get", "list", "watch"}
STATE = "find . -printf '%p %s %T@ %C@\\n' | sort"
"""Every name of a home with its size and the times of its last changes."""


@pytest.fixture(scope="module")
def release(
    world: World, status: Status, volumes: Volumes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Upgrading]:
    with upgrading(world, status, volumes, tmp_path_factory.mktemp("plan") / "run") as release:
        yield release


def asked_by(status: Status, account: str) -> list[dict[str, Any]]:
    """What the apiserver's audit log has of a service account."""
    assert status.audit_log
    events = map(json.loads, status.audit_log.read_text().splitlines())
    return [event for event in events if event["user"].get("username", "").endswith(f":{account}")]


def changes(event: dict[str, Any]) -> bool:
    """Whether a call may have changed something: no read, no access review, no dry run, no look into a home."""
    resource = event.get("objectRef", {}).get("resource", "")
    if event.get("objectRef", {}).get("subresource") == "exec":  # what it does there, the home itself tells
        return "command=sh" not in event["requestURI"]
    return not (event["verb"] in LOOKING or resource.endswith("reviews") or "dryRun=All" in event["requestURI"])


def test_a_plan_reads_reviews_and_tries_and_nothing_else(
    world: World, status: Status, namespace: str, suites: Suites
) -> None:
    """Also where it looks into a home: the later chart mounts files over two of the agent's."""
    agent = {**quiet(world), "agentsMd": "# From the chart\n"}
    world.install("openab", namespace, "0.7.0", {"agents": {"kiro": agent}})
    look = ("--namespace", namespace, "exec", "deploy/openab-kiro", "--", "sh", "-c", f"cd; {STATE}")
    before = world.kubectl(*look)
    account = f"planner-{namespace}"
    config = callers.account(world, status, namespace, RIGHTS, suites.reports.parent / account)
    source = (f"--chart={world.registry('trials')}/openab", f"--notes-url={world.release_notes_url}")
    run = suites.run(
        "suites/plan", f"--namespace={namespace}", f"--kubeconfig={config}", *source, "--target-version=0.8.0"
    )
    assert run.status == 0, run.output
    events = asked_by(status, account)
    assert {event["objectRef"].get("subresource") for event in events if "objectRef" in event} >= {"exec"}
    assert sum("dryRun=All" in event["requestURI"] for event in events) > 5
    assert [event["requestURI"] for event in events if changes(event)] == []
    assert world.kubectl(*look) == before


def test_a_call_that_changes_something_would_be_seen() -> None:
    patch = {
        "verb": "patch",
        "objectRef": {"resource": "secrets"},
        "requestURI": "/api/v1/namespaces/n/secrets/s?force=true",
    }
    execute = {
        "verb": "get",
        "objectRef": {"resource": "pods", "subresource": "exec"},
        "requestURI": "/exec?command=rm",
    }
    assert changes(patch)
    assert changes(execute)


def test_what_blocks_is_named_with_its_page_and_nothing_is_touched(release: Upgrading) -> None:
    untouched = ("get", "pods,deployments", "--output=jsonpath={.items[*]['metadata.uid', 'metadata.generation']}")
    before = release.kubectl(*untouched)  # not by resourceVersion: a busy controller still writes a status
    run = release.run("suites/plan", f"--target-version={BAD}")
    assert run.status == 1, run.output
    assert f"{ID} (blocks)" in run.output
    assert "next: " in run.output
    assert release.kubectl(*untouched) == before
    assert release.leftovers() == ""

    facts = json.loads((run.report / "plan.json").read_text())
    assert (facts["verdict"], [f["id"] for f in facts["findings"] if f["severity"] == "blocks"]) == ("blocked", [ID])
    page = (run.report / "plan.html").read_text()
    assert page.index(ID) < page.index("Deployment openab-kiro changes")
    secret = json.loads(release.kubectl("get", "secret", "openab-kiro", "--output=json"))["data"]["discord-bot-token"]
    assert secret not in page
    for file in ("plan.json", "plan.html"):
        assert (run.report / file).stat().st_mode & 0o077 == 0


def test_it_stands_before_every_upgrade_and_is_passed_on_purpose_only(release: Upgrading) -> None:
    target = f"--target-version={BAD}"
    assert release.run("suites", target, "--approval=auto").status == 1
    assert release.chart() == "0.8.1 deployed"
    upgrade = ("suites/upgrade", target, "--approval=auto")  # the run before has made its backup
    for options, said in {
        (f"--accept={ID}",): "go together",
        ("--reason=because",): "go together",
    }.items():
        refused = release.run(*upgrade, *options)
        assert (refused.status, said in refused.output) == (4, True), refused.output
    typed = release.run(*upgrade, env={"OPENAB_ACCEPT": ID, "OPENAB_REASON": "because"})
    assert (typed.status, "where it is typed" in typed.output) == (4, True), typed.output
    unknown = release.run(*upgrade, "--accept=claim-deleted:openab-kiro", "--reason=because")
    assert (unknown.status, "no such finding" in unknown.output) == (1, True), unknown.output
    assert release.chart() == "0.8.1 deployed"

    passed = release.run(*upgrade, f"--accept={ID}", "--reason=only the chart shall move")
    assert passed.status == 0, passed.output
    assert (release.chart(), release.image()) == (f"{BAD} deployed", "0.8.1")
    assert re.search(rf"accepted {ID}.{{0,200}}only the chart shall move", passed.html, re.DOTALL)
    assert release.kept()


def test_a_chart_that_cannot_be_rendered_is_a_finding(release: Upgrading, world: World, tmp_path: Path) -> None:
    chart = world.harmful("does-not-render", tmp_path / "charts")
    run = release.run("suites/plan", f"--chart={chart}", "--target-version=0.8.2", "--allow-downgrade")
    assert run.status == 1, run.output
    assert "another plan from this version on" in run.output
