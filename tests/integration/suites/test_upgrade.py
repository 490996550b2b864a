"""Upgrades that go well, and everything that humans, other runs and bad input do to them; judged from outside."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from sandbox import SandboxError, Status
from tests.integration.conftest import ROOT
from tests.integration.sandbox.support import eventually
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.underway import begun, ended, until
from tests.integration.suites.upgrades import FILES, Upgrading, upgrading
from world import World

DEADLINE = 180
"""Seconds for an upgrade at a terminal."""


@pytest.fixture
def release(world: World, status: Status, volumes: Volumes, tmp_path: Path) -> Iterator[Upgrading]:
    with upgrading(world, status, volumes, tmp_path / "run", "0.8.0") as release:
        yield release


def at_terminal(release: Upgrading, *arguments: str, says: dict[str, str]) -> tuple[int, str]:
    """Run a suite at a terminal of its own; ``says``: what is typed once a text has appeared, each once."""
    argv = release.suites.argv(*release.argv(*arguments))
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execvpe(argv[0], argv, dict(release.suites.env))
    shown, left, deadline = "", dict(says), time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 1)[0]:
            try:
                shown += os.read(terminal, 1 << 16).decode(errors="replace")
            except OSError:  # the other side has closed it
                break
            for awaited in [text for text in left if text in shown]:
                os.write(terminal, left.pop(awaited).encode() + b"\n")
    _, code = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(code), shown


def test_a_human_at_the_terminal_leads_it_through_a_beta(release: Upgrading) -> None:
    """The prompt works under pytest's capture; what is no answer is asked again."""
    claim, database = release.claim(), release.database()
    status, shown = at_terminal(
        release,
        "suites",
        "--target-version=0.8.1",
        says={"runs 0.8.1-beta.1. Send": "maybe", "one of CONFIRMED": "confirmed", "runs 0.8.1. Send": "CONFIRMED"},
    )
    assert status == 0, shown
    assert release.chart() == "0.8.1 deployed"
    assert release.image() == "0.8.1"
    assert (release.claim(), release.kept(), release.leftovers()) == (claim, True, "")
    assert release.database()[2] >= database[2]
    (report,) = release.suites.reports.iterdir()
    answers = json.loads(next(release.suites.backup_root.rglob("upgrade.json")).read_text())["answers"]
    assert [(answer["gate"], answer["word"], answer["how"]) for answer in answers] == [
        ("prerelease", "CONFIRMED", "terminal"),
        ("stable", "CONFIRMED", "terminal"),
    ]
    assert all(answer["who"] in (report / "report.html").read_text() for answer in answers)
    assert "outage" in (report / "report.html").read_text()


def test_without_a_terminal_it_pauses_and_goes_on_with_an_answer(release: Upgrading) -> None:
    """Status 10, the command that answers, and nothing done twice; answers that nobody asked for change nothing."""
    upgrade = ("suites/upgrade", "--target-version=0.8.1")
    missing = release.run(*upgrade)
    assert missing.status == 1
    assert "pytest suites/backup" in missing.output
    assert release.run("suites/backup").status == 0

    paused = release.run(*upgrade)
    assert paused.status == 10, paused.output
    assert release.chart() == "0.8.1-beta.1 deployed"
    assert (release.leftovers(), release.holder()) == ("lease.coordination.k8s.io/openab-sop-openab\n", "")
    assert "--answer=prerelease:CONFIRMED" in paused.html
    begun = release.kubectl("get", "pods", "--output=jsonpath={.items[*].metadata.uid}")

    for wrong, said in {
        "stable:CONFIRMED": "awaited is prerelease",
        "prerelease:CONFIRMED:00000000": "is for upgrade 00000000",
    }.items():
        refused = release.run(*upgrade, f"--answer={wrong}")
        assert (refused.status, said in refused.output) == (1, True), refused.output
    assert release.run(*upgrade, "--answer=prerelease:perhaps").status == 4
    other = release.run("suites/upgrade", "--target-version=0.8.2", "--answer=prerelease:CONFIRMED")
    assert (other.status, "an upgrade to 0.8.1 is under way" in other.output) == (1, True), other.output
    assert release.kubectl("get", "pods", "--output=jsonpath={.items[*].metadata.uid}") == begun

    silent = release.run(*upgrade, "--answer=prerelease:NO-RESPONSE")
    assert silent.status == 10, silent.output
    assert "After a restart" in silent.output
    assert release.kubectl("get", "pods", "--output=jsonpath={.items[*].metadata.uid}") != begun

    release.shell("rm marker")  # while it waits: the stable version is not to blame
    confirmed = release.run(*upgrade, "--answer=prerelease:CONFIRMED")
    assert confirmed.status == 10, confirmed.output
    assert release.chart() == "0.8.1 deployed"
    assert "not this version's work: openab-kiro: 'marker'" in confirmed.output
    twice = release.run(*upgrade, "--answer=prerelease:CONFIRMED")
    assert (twice.status, "awaited is stable" in twice.output) == (1, True), twice.output

    earlier = next(release.suites.backup_root.rglob("charts")) / "earlier"
    earlier.mkdir()
    done = release.run(*upgrade, "--answer=stable:CONFIRMED")
    assert done.status == 0, done.output
    assert "--answer, asked 0:" in done.evidence("test_stable_is_confirmed")
    assert not earlier.exists()
    assert len(list(earlier.parent.iterdir())) == 2
    back_to_beta = ("--accept=downgrade:openab", "--reason=once more")
    late = release.run(*upgrade, "--force", *back_to_beta, "--answer=stable:ROLLBACK")
    assert (late.status, "no upgrade is under way" in late.output) == (1, True), late.output
    again = release.run(*upgrade)
    assert (again.status, "already on 0.8.1" in again.output) == (0, True), again.output
    assert (release.chart(), release.kept()) == ("0.8.1 deployed", False)

    back = release.run("suites/rollback")
    assert back.status == 0, back.output
    assert (release.chart(), release.image(), release.kept()) == ("0.8.0 deployed", "0.8.0", True)
    assert release.leftovers() == ""


def test_a_bot_that_stays_silent_is_rolled_back_and_escalation_changes_nothing(release: Upgrading) -> None:
    start = ("suites", "--target-version=0.8.2")
    assert release.run(*start).status == 10
    upgrade = ("suites/upgrade", *start[1:])
    assert release.run(*upgrade, "--answer=stable:NO-RESPONSE").status == 10
    silent = release.run(*upgrade, "--answer=stable:NO-RESPONSE")
    assert silent.status == 11, silent.output
    assert "rule no-answer-again" in silent.output
    assert release.chart() == "0.8.0 deployed"

    assert release.run(*start).status == 10
    escalated = release.run(*upgrade, "--answer=stable:ESCALATE")
    assert escalated.status == 15, escalated.output
    assert (release.chart(), release.ready(), release.leftovers()) == ("0.8.2 deployed", True, "")


def test_who_says_escalate_is_heard_although_the_version_crashes_by_now(release: Upgrading) -> None:
    """It ran well when the question was asked; a human wants to look at it as it is."""
    start = ("suites", "--target-version=0.8.2")
    assert release.run(*start).status == 10
    with suppress(SandboxError):  # the shell ends with the container
        release.shell("pkill -KILL -x openab; sleep 5")
    jsonpath = "--output=jsonpath={.items[*].status.containerStatuses[*].restartCount}"
    eventually(lambda: release.kubectl("get", "pods", jsonpath) not in ("", "0"))
    escalated = release.run("suites/upgrade", start[1], "--answer=stable:ESCALATE")
    assert escalated.status == 15, escalated.output
    assert "rule quick-fix" in escalated.output
    assert release.chart() == "0.8.2 deployed"


def test_a_short_history_of_the_callers_does_not_prune_what_a_rollback_needs(release: Upgrading) -> None:
    """HELM_MAX_HISTORY would drop the old revision when the stable version comes after its pre-release."""
    env = {"HELM_MAX_HISTORY": "2", "HELM_KUBETOKEN": "of-somebody-else", "HELM_KUBEAPISERVER": "https://127.0.0.1:1"}
    failed = release.run("suites", "--target-version=0.9.0", "--approval=auto", env=env)
    assert failed.status == 11, failed.output
    assert (release.chart(), release.ready(), release.kept(), release.leftovers()) == ("0.8.0 deployed", True, True, "")
    release.kubectl("get", "secret", "sh.helm.release.v1.openab.v1")


def test_a_revision_that_helm_has_lost_comes_back_from_the_backup(release: Upgrading) -> None:
    """Its chart and its values are in the baseline; the claim stays the one that it was."""
    claim, database = release.claim(), release.database()
    values = release.world.helm(["get", "values", "openab", f"--namespace={release.namespace}"])
    assert release.run("suites", "--target-version=0.9.0-migrates-data.1").status == 10
    release.kubectl("delete", "secret", "sh.helm.release.v1.openab.v1")
    back = release.run("suites/upgrade", "--target-version=0.9.0-migrates-data.1", "--answer=stable:ROLLBACK")
    assert back.status == 12, back.output
    assert "Helm has no revision 1 any more" in back.evidence("test_target_revision_is_known")
    assert (release.chart(), release.image(), release.ready()) == ("0.8.0 deployed", "0.8.0", True)
    assert (release.claim(), release.kept(), release.leftovers()) == (claim, True, "")
    assert release.database()[:2] == database[:2]
    assert release.world.helm(["get", "values", "openab", f"--namespace={release.namespace}"]) == values


def test_configuration_that_is_gone_is_restored_and_the_upgrade_goes_on(release: Upgrading) -> None:
    """While the version settles; what changes later, when it was judged, is the agent's own."""
    start = ("suites", "--target-version=0.8.2", "--settle=10")
    argv = release.suites.argv(*release.argv(*start))
    with subprocess.Popen(
        argv, cwd=ROOT, env=dict(release.suites.env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        until(process, lambda: begun(release.suites.reports, set(), "test_stable_runs_well"))
        release.kubectl("rollout", "status", "deploy/openab-kiro", "--timeout=60s")
        release.shell("rm .kiro/steering/rules.md; echo { >.kiro/agents/default.json")
        before = release.kubectl("get", "pods", "--output=jsonpath={.items[*].metadata.uid}")
        paused = ended(release.suites, process)
    assert paused.status == 10, paused.output
    assert "rules.md" in paused.evidence("test_stable_has_its_configuration")
    assert (release.chart(), release.kept()) == ("0.8.2 deployed", True)
    assert release.kubectl("get", "pods", "--output=jsonpath={.items[*].metadata.uid}") != before
    done = release.run("suites/upgrade", "--target-version=0.8.2", "--answer=stable:CONFIRMED")
    assert (done.status, release.kept(), release.leftovers()) == (0, True, ""), done.output


def test_what_the_agent_does_while_an_answer_is_awaited_is_not_held_against_the_version(release: Upgrading) -> None:
    """A file goes and another comes: confirmed, it is told and left; the human's ROLLBACK brings back what is gone."""
    upgrade = ("suites/upgrade", "--target-version=0.8.2")
    for answer, status, chart in (("CONFIRMED", 0, "0.8.2"), ("ROLLBACK", 12, "0.8.0")):
        if release.chart() != "0.8.0 deployed":
            assert release.run("suites/rollback").status == 0
        release.fill()
        assert release.run("suites", *upgrade[1:]).status == 10
        release.shell("rm marker .kiro/steering/rules.md; echo of today >newer; echo other >.config/gh/hosts.yml")
        answered = release.run(*upgrade, f"--answer=stable:{answer}")
        assert (answered.status, release.chart()) == (status, f"{chart} deployed"), answered.output
        told = answered.evidence("test_stable_is_verified")
        assert "2 removed ('.kiro/steering/rules.md', 'marker')" in told, told
        later = told[told.index("since it settled") :]
        assert "'newer'" in later
        assert " bytes" in later
        assert "2 removed ('.kiro/steering/rules.md', 'marker')" in later
        assert release.shell("cat newer .config/gh/hosts.yml") == "of today\nother\n"
        back = release.shell("cat marker .kiro/steering/rules.md 2>/dev/null || true")
        assert back == ("" if answer == "CONFIRMED" else FILES["marker"] + FILES[".kiro/steering/rules.md"])
        assert (release.ready(), release.leftovers()) == (True, "")


def test_a_rollback_days_later_takes_nothing_away(release: Upgrading) -> None:
    """What is gone is put back; what is newer and what was changed since stays. Scaled down, it runs again."""
    done = release.run("suites", "--target-version=0.8.2", "--approval=auto")
    assert done.status == 0, done.output
    release.shell("rm -r .kiro/skills marker; mkdir work; echo of today >work/newer; echo other >.config/gh/hosts.yml")
    release.kubectl("scale", "deployment/openab-kiro", "--replicas=0")
    back = release.run("suites/rollback")
    assert back.status == 0, back.output
    assert back.verdicts()["test_data_are_restored"] == "passed"
    assert (release.chart(), release.ready(), release.leftovers()) == ("0.8.0 deployed", True, "")
    assert release.shell("cat work/newer .config/gh/hosts.yml") == "of today\nother\n"
    assert release.shell("cat marker .kiro/skills/greet/SKILL.md") == FILES["marker"] + "say hello"


def test_a_backup_that_cannot_carry_an_upgrade(release: Upgrading) -> None:
    """Damaged, of another revision, half there: each is told before anything is touched."""
    upgrade = ("suites/upgrade", "--target-version=0.8.2")
    assert release.run("suites/backup").status == 0
    (backup,) = release.suites.backups()
    archive = backup / "openab-kiro" / "pvc-data" / "home.tar"
    whole = archive.read_bytes()
    archive.write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
    damaged = release.run(*upgrade)
    assert (damaged.status, "home.tar" in damaged.output) == (1, True), damaged.output
    archive.write_bytes(whole)
    manifest = backup / "backup.json"
    aside = manifest.rename(backup / "aside")
    missing = release.run(*upgrade)
    assert (missing.status, "has no backup of release openab" in missing.output) == (1, True), missing.output
    aside.rename(manifest)
    release.world.helm(
        ["upgrade", "openab", release.world.package("0.8.0"), f"--namespace={release.namespace}", "--reuse-values"]
    )
    older = release.run(*upgrade)
    assert (older.status, "it is of revision 1" in older.output) == (1, True), older.output
    assert "pytest suites/backup" in older.output
    assert (release.chart(), release.leftovers()) == ("0.8.0 deployed", "")


def test_a_bad_version_is_left_on_purpose_and_rolled_back_days_later(release: Upgrading) -> None:
    target = ("suites", "--target-version=0.9.0-migration-fails.1", "--approval=auto")
    stopped = release.run(*target, "--on-failure=stop")
    assert (stopped.status, release.chart()) == (15, "0.9.0-migration-fails.1 deployed"), stopped.output
    assert release.crashed()
    back = release.run("suites/rollback")
    assert back.status == 0, back.output
    assert back.verdicts()["test_data_are_restored"] == "passed"
    assert (release.chart(), release.ready(), release.kept(), release.leftovers()) == ("0.8.0 deployed", True, True, "")
    assert release.database()[:2] == ("ok", "1")
    nothing = release.run("suites/rollback")
    assert (nothing.status, "no upgrade of openab is known" in nothing.output) == (1, True), nothing.output


def test_nobody_answers_in_time(release: Upgrading) -> None:
    """At the pre-release's gate the way back follows; at the last one the verified stable version stays."""
    status, shown = at_terminal(release, "suites", "--target-version=0.8.1", "--answer-timeout=1", says={})
    assert (status, release.chart()) == (11, "0.8.0 deployed"), shown
    assert "nobody answered in time" in shown
    status, shown = at_terminal(release, "suites", "--target-version=0.8.2", "--answer-timeout=1", says={})
    assert (status, release.chart(), release.ready()) == (15, "0.8.2 deployed", True), shown
    assert release.leftovers() == ""


def test_two_runs_at_once(release: Upgrading) -> None:
    """The second is told who has the release, with a status of its own, and touches nothing."""
    assert release.run("suites/backup").status == 0
    upgrade = ("suites/upgrade", "--target-version=0.8.2", "--approval=auto")
    first = release.suites.begin(*release.argv(*upgrade))
    until(first, lambda: bool(release.kubectl("get", "leases", "--output=name")))
    second = release.run(*upgrade)
    assert second.status == 14, second.output
    assert "another maintenance run holds the release" in second.output
    assert first.wait(DEADLINE) == 0
    assert (release.chart(), release.leftovers()) == ("0.8.2 deployed", "")


def test_a_run_that_is_killed_while_it_tells_the_end_leaves_no_lock(release: Upgrading) -> None:
    """The next run has nothing to do, so it would not take the lock over and give it back."""

    class Killer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if b"is done" in self.rfile.read(int(self.headers["Content-Length"])):
                run.kill()
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the test's output is not the place."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Killer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        upgrade = ("suites", "--target-version=0.8.2", "--approval=auto")
        run = release.suites.begin(*release.argv(*upgrade, f"--announce=json://127.0.0.1:{server.server_port}/"))
        assert run.wait(DEADLINE) == -signal.SIGKILL
        server.shutdown()
    again = release.run(*upgrade)
    assert (again.status, "already on 0.8.2" in again.output) == (0, True), again.output
    assert release.leftovers() == ""


def test_a_restore_waits_for_whoever_holds_the_release(release: Upgrading, tmp_path: Path) -> None:
    assert release.run("suites/backup").status == 0
    (backup,) = release.suites.backups()
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": "elsewhere/1/1", "leaseDurationSeconds": 600, "acquireTime": now, "renewTime": now}
    metadata = {"name": "openab-sop-openab", "namespace": release.namespace}
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
    (tmp_path / "lease.json").write_text(json.dumps(lease))
    release.kubectl("create", f"--filename={tmp_path / 'lease.json'}")
    held = release.run("suites/restore", f"--backup={backup}")
    assert (held.status, "elsewhere/1/1" in held.output) == (14, True), held.output
    release.kubectl("delete", "lease", "openab-sop-openab")
    assert release.run("suites/restore", f"--backup={backup}").status == 0
    assert (release.ready(), release.kept(), release.leftovers()) == (True, True, "")


def test_edits_by_hand_and_revisions_of_others_are_named(release: Upgrading) -> None:
    """What server-side apply would refuse is named before; after somebody else's revision nothing is rolled back."""
    image = {
        "spec": {
            "template": {
                "spec": {
                    "terminationGracePeriodSeconds": 7,
                    "containers": [{"name": "openab", "imagePullPolicy": "Never"}],
                }
            }
        }
    }
    release.kubectl("patch", "deploy", "openab-kiro", f"--patch={json.dumps(image)}", "--field-manager=kubectl-edit")
    release.kubectl("rollout", "status", "deploy/openab-kiro", "--timeout=60s")
    refused = release.run("suites", "--target-version=0.8.2")
    assert (refused.status, release.chart()) == (1, "0.8.0 deployed"), refused.output
    assert "kubectl-edit" in refused.output
    release.kubectl("rollout", "undo", "deploy/openab-kiro")
    fixed = {"spec": {"template": {"spec": {"containers": [{"name": "openab", "imagePullPolicy": "IfNotPresent"}]}}}}
    release.kubectl("patch", "deploy", "openab-kiro", f"--patch={json.dumps(fixed)}", "--field-manager=helm")

    paused = release.run("suites", "--target-version=0.8.2")
    assert paused.status == 10, paused.output
    release.world.helm(["rollback", "openab", "1", "--namespace", release.namespace, "--force-conflicts"])
    stopped = release.run("suites/upgrade", "--target-version=0.8.2", "--answer=stable:ROLLBACK")
    assert (stopped.status, "brought the release to revision 3" in stopped.output) == (1, True), stopped.output
    back = release.run("suites/rollback")
    assert (back.status, "revisions 3 of openab are none of" in back.output) == (1, True), back.output
    assert release.chart() == "0.8.0 deployed"


def test_a_release_that_helm_3_made(
    world: World, status: Status, volumes: Volumes, helm3: Path, tmp_path: Path
) -> None:
    """Helm 3 upgrades it and rolls it back, then Helm 4 does; the agents are stopped on the way back both times."""
    with upgrading(world, status, volumes, tmp_path / "run", "0.8.0", helm=helm3 / "helm") as release:
        old = {"PATH": f"{helm3}{os.pathsep}{release.suites.env['PATH']}"}
        claim = release.claim()
        bad = ("suites", "--target-version=0.9.0-migration-fails.1", "--approval=auto")
        for env in (old, {}):
            failed = release.run(*bad, env=env)
            assert failed.status == 11, failed.output
            assert (release.chart(), release.ready(), release.leftovers()) == ("0.8.0 deployed", True, "")
        good = release.run("suites", "--target-version=0.8.2", "--approval=auto")
        assert good.status == 0, good.output
        assert (release.chart(), release.claim(), release.kept()) == ("0.8.2 deployed", claim, True)
        back = release.run("suites/rollback", env=old)
        assert back.status == 0, back.output
        assert (release.chart(), release.claim(), release.kept()) == ("0.8.0 deployed", claim, True)


def test_targets_that_cannot_be(release: Upgrading) -> None:
    """Each ends before anything is done, with what to do."""
    for arguments, said in {
        ("--target-version=7.7.7",): "has no version 7.7.7",
        ("--target-version=0.7.0",): "older",
        ("--target-version=0.8.1", "--chart=oci://127.0.0.1:1/none"): "127.0.0.1:1",
    }.items():
        run = release.run("suites", *arguments)
        assert (run.status, said in run.output, "next: " in run.output) == (1, True, True), run.output
    assert (release.chart(), release.leftovers(), release.suites.backups()) == ("0.8.0 deployed", "", [])
