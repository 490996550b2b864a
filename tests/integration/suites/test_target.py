"""What an upgrade leads to, on the node: registry, classic repository, local charts, notes, room, webhook."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from openab_sop.cluster import kubeconfig
from openab_sop.cluster.helm import Helm
from openab_sop.cluster.kube import Cluster
from openab_sop.errors import SourceError
from openab_sop.releases import release as releases
from openab_sop.releases.upgrade_state import FILE, UpgradeState
from openab_sop.targets import capacity, chart_source
from openab_sop.targets.announce import Announcer
from openab_sop.targets.version import Version
from sandbox import Status
from tests.integration.conftest import Run
from tests.integration.suites.callers import account
from tests.integration.suites.tiny import DEPLOYMENT, VERSION, Tiny, tiny_release
from tests.served import Asked, Says, serving
from world import World

NOWHERE = "127.0.0.1:9"
"""Nothing listens there."""


@pytest.fixture(scope="module")
def tiny(world: World, status: Status, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiny]:
    """A release at 0.8.1; none of these tests changes it."""
    with tiny_release(world, status, tmp_path_factory.mktemp("target")) as tiny:
        yield tiny


def seek(tiny: Tiny, *arguments: str, chart: str | Path | None = None) -> Run:
    """Run the stage; the chart comes from the registry's trials."""
    source = chart or f"{tiny.world.registry('trials')}/openab"
    options = [f"--namespace={tiny.namespace}", f"--notes-url={tiny.world.release_notes_url}"]
    return tiny.suites.run("suites/target", *options, f"--chart={source}", *arguments)


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def state(tiny: Tiny) -> str:
    """What a change of the release would change: every object's version, Helm's records among them."""
    listed = tiny.kubectl("get", "deploy,secret,configmap,pvc,pod", "--output=json")
    return json.dumps(
        [
            (i["metadata"]["uid"], i["metadata"].get("generation", i["metadata"]["resourceVersion"]))
            for i in json.loads(listed)["items"]
        ]
    )


def failed(run: Run, step: str, *words: str) -> None:
    """Check that the run stopped at a step, said these words, and ran nothing after it."""
    assert run.status == 1, run.output
    verdicts = run.verdicts()
    assert verdicts[step] == "failed", run.output
    after = list(verdicts.values())[list(verdicts).index(step) + 1 :]
    assert set(after) <= {"not run"}
    told = " ".join(run.output.split())
    for word in (*words, "next: "):
        assert word in told, f"{word!r} is not in: {run.output}"
    assert "this is a defect" not in run.output


# -- which version -----------------------------------------------------------------------------------------------------


def test_the_newest_stable_version_that_notes_stand_in_for(tiny: Tiny) -> None:
    before = state(tiny)
    run = seek(tiny, chart=f"{tiny.world.registry('charts')}/openab")
    assert run.status == 0, run.output
    assert {name for name, verdict in run.verdicts().items() if verdict != "passed"} == {"test_answer_is_awaited"}
    assert run.evidence("test_target_version_is_known").endswith("target: 0.8.2")
    assert "pre-release-validated: true" in run.evidence("test_prerelease_is_chosen")
    path, _, said = run.evidence("test_charts_are_pulled").removeprefix("charts: ").partition(", SHA-256 ")
    assert said == digest(Path(path)) == digest(tiny.world.package("0.8.2"))
    assert Path(path).stat().st_mode & 0o077 == 0
    assert "Reconnects faster after the platform" in run.evidence("test_release_notes_are_shown")
    assert state(tiny) == before


def test_a_version_is_validated_by_its_beta_first(tiny: Tiny) -> None:
    run = seek(tiny, "--target-version=v0.9.2")
    assert run.status == 0, run.output
    pulled = run.evidence("test_charts_are_pulled")
    for version in ("0.9.2", "0.9.2-beta.1"):
        assert f"openab-{version}.tgz, SHA-256 {digest(tiny.world.package(version))}" in pulled
    assert "target: chart 0.9.2 by way of 0.9.2-beta.1, from 0.8.1" in run.output
    assert "migrations: The table `conversations` of the agent's database becomes" in run.output
    assert "migrations" in run.html


def test_a_newest_version_that_nobody_validated_is_told(tiny: Tiny) -> None:
    """The plan blocks it (tests/unit/openab_sop/plans/test_path.py, test_upgrade_faults.py)."""
    untried = seek(tiny)
    assert untried.status == 0, untried.output
    assert "WARNING: 0.9.3 was not validated as a pre-release" in untried.output
    asked = seek(tiny, "--prerelease=none", "--reason=tried on another cluster")
    assert asked.status == 0, asked.output
    assert "an operator wants one step to 0.9.3: tried on another cluster" in asked.html
    assert "WARNING: 0.9.3" not in asked.output
    run = seek(tiny, "--prerelease-version=0.9.0-logs-errors.1")
    assert run.status == 0, run.output
    assert "by way of 0.9.0-logs-errors.1" in run.output


def test_already_on_the_target(tiny: Tiny) -> None:
    """Nothing is touched, and no backup is made: the run ends well."""
    before = state(tiny)
    source = f"--chart={tiny.world.registry('charts')}/openab"
    run = tiny.suites.run("suites", f"--namespace={tiny.namespace}", f"--target-version={VERSION}", source)
    assert run.status == 0, run.output
    assert f"verdict: passed (already on {VERSION}" in run.output
    verdicts = run.verdicts()
    after = list(verdicts)[list(verdicts).index("test_target_is_not_what_runs") :]
    assert "test_homes_are_copied" in after
    assert {verdicts[step] for step in after} == {"not needed"}
    assert state(tiny) == before
    assert tiny.suites.backups() == []
    forced = seek(tiny, f"--target-version={VERSION}", "--force")
    assert (forced.status, forced.verdicts()["test_nodes_have_room"]) == (0, "passed"), forced.output


REFUSED = {
    "unknown": (["--target-version=0.8.9"], ["has no version 0.8.9; near it are", "0.8.2, 0.8.1"]),
    "older": (["--target-version=0.8.0"], ["0.8.0 is older than 0.8.1, which runs", "--allow-downgrade"]),
}


@pytest.mark.parametrize(("arguments", "words"), REFUSED.values(), ids=REFUSED)
def test_a_target_that_cannot_be_is_told(tiny: Tiny, arguments: list[str], words: list[str]) -> None:
    failed(seek(tiny, *arguments), "test_target_version_is_known", *words)


def test_a_downgrade_that_is_asked_for(tiny: Tiny) -> None:
    run = seek(tiny, "--target-version=0.8.0", "--allow-downgrade")
    assert run.status == 0, run.output
    assert "target: chart 0.8.0 by way of 0.8.0-beta.1, from 0.8.1" in run.output
    assert "breaking: An adapter is configured only where" in run.output


# -- where from --------------------------------------------------------------------------------------------------------


def test_a_registry_that_is_away_is_told_and_no_other_source_serves(tiny: Tiny) -> None:
    run = seek(tiny, chart=f"oci://{NOWHERE}/charts/openab")
    failed(run, "test_target_version_is_known", f"http://{NOWHERE}/v2/charts/openab/tags/list does not answer")


def test_the_classic_repository_lags_behind_and_says_so(tiny: Tiny) -> None:
    classic = tiny.world.repository_url("charts")
    failed(seek(tiny, "--target-version=0.8.2", chart=classic), "test_target_version_is_known", "has no version 0.8.2")
    run = seek(tiny, f"--target-version={VERSION}", "--force", chart=classic)
    assert run.status == 0, run.output
    assert digest(tiny.world.package("0.8.1-beta.1")) in run.evidence("test_charts_are_pulled")


@pytest.mark.parametrize("as_directory", [False, True])
def test_a_chart_of_this_machine(tiny: Tiny, tmp_path: Path, as_directory: bool) -> None:
    chart = tiny.world.package("0.8.2")
    if as_directory:
        with tarfile.open(chart) as archive:
            archive.extractall(tmp_path, filter="data")
        chart = tmp_path / "openab"
    run = seek(tiny, chart=chart)
    assert run.status == 0, run.output
    assert "target: chart 0.8.2, from 0.8.1" in run.output


@pytest.fixture(params=["helm", "helm3"])
def helm_first(request: pytest.FixtureRequest, status: Status, monkeypatch: pytest.MonkeyPatch) -> None:
    """Helm 4 is on PATH, or helm 3 in its place."""
    first = [str(request.getfixturevalue("helm3"))] if request.param == "helm3" else []
    monkeypatch.setenv("PATH", os.pathsep.join([*first, str(status.bin), os.environ["PATH"]]))


@pytest.mark.usefixtures("helm_first")
def test_both_helms_pull_the_same_bytes(world: World, tmp_path: Path) -> None:
    wanted = Version.parse("0.8.1")
    for source in (f"{world.registry()}/openab", world.chart_repo_url, str(world.package("0.8.1"))):
        pulled = chart_source.parse(source).pull(wanted, tmp_path)
        assert pulled.digest == digest(pulled.path) == digest(world.package("0.8.1")), source
        assert pulled.path.parent == tmp_path / pulled.digest
    assert [path.name for path in tmp_path.iterdir()] == [pulled.digest], "nothing else is left"


def repository(world: World, listed: str, archive: bytes | None, said: str = "") -> Any:
    """A classic repository whose index lists one version; its archive is gone, or another."""
    entry = {"version": listed, "name": "openab", "apiVersion": "v2", "urls": ["openab.tgz"]} | (
        {"digest": said} if said else {}
    )
    index = yaml.safe_dump({"apiVersion": "v1", "entries": {"openab": [entry]}}).encode()

    def answer(asked: Asked) -> Says:
        if asked.path == "/index.yaml":
            return Says(index)
        return Says(status=404) if archive is None else Says(archive)

    return serving(answer)


def nginx(directory: Path) -> bytes:
    """A chart, but not ours."""
    directory.mkdir()
    (directory / "Chart.yaml").write_text("apiVersion: v2\nname: nginx\nversion: 0.8.2\n")
    with tarfile.open(directory / "x.tgz", "w:gz") as archive:
        archive.add(directory / "Chart.yaml", "nginx/Chart.yaml")
    return (directory / "x.tgz").read_bytes()


@pytest.mark.usefixtures("helm_first")
def test_what_was_pulled_back_or_is_another_is_told(world: World, tmp_path: Path) -> None:
    wanted, good = Version.parse("0.8.2"), world.package("0.8.2").read_bytes()
    for archive, said, told in (
        (None, "", "offers 0.8.2, but it cannot be pulled"),
        (b"<html>sorry</html>", "", "cannot be pulled|is no Helm chart"),
        (world.package("0.8.1").read_bytes(), "", "gives openab 0.8.1 for openab 0.8.2"),
        (nginx(tmp_path / "nginx"), "", "gives nginx 0.8.2 for openab 0.8.2"),
        (good, "0" * 64, "is not the one in its index|cannot be pulled"),
    ):
        with repository(world, "0.8.2", archive, said) as server, pytest.raises(SourceError, match=told) as stopped:
            chart_source.parse(server.url).pull(wanted, tmp_path / "charts")
        assert "\n  next: " in str(stopped.value)
    with repository(world, "0.8.2", good, f"sha256:{sha256(good).hexdigest()}") as server:
        assert chart_source.parse(server.url).pull(wanted, tmp_path / "charts").digest == sha256(good).hexdigest()


def test_a_tag_that_was_pulled_back_is_told(tiny: Tiny) -> None:
    def answer(asked: Asked) -> Says:
        return Says({"tags": ["0.8.2"]}) if asked.path.endswith("/tags/list") else Says({"errors": []}, 404)

    with serving(answer) as server:
        run = seek(tiny, chart=f"oci://{server.host}/charts/openab")
        failed(run, "test_charts_are_pulled", "offers 0.8.2, but it cannot be pulled (was it taken back?)")


# -- notes, going on, room, webhook ------------------------------------------------------------------------------------


def test_notes_that_are_not_available_are_a_warning(tiny: Tiny) -> None:
    run = seek(tiny, "--target-version=0.9.0", f"--notes-url=http://{NOWHERE}/releases")
    assert run.status == 0, run.output
    assert f"release notes: warning: not available, read them before you go on: http://{NOWHERE}" in run.output


def test_an_upgrade_that_is_under_way_needs_no_source(world: World, status: Status, tmp_path: Path) -> None:
    """Even where the target runs already; its charts are those that it began with."""
    with tiny_release(world, status, tmp_path) as tiny:
        run = seek(tiny, "--target-version=0.9.1")
        assert run.status == 0, run.output
        (record,) = tiny.suites.backup_root.glob("sessions/*/*/*/charts/*/target.json")
        target = json.loads(record.read_text())
        state = UpgradeState("c0ffee", "then", 1, VERSION, "0.9.1", target["digest"], prerelease="0.9.1-beta.1")
        (record.parents[2] / FILE).write_text(json.dumps(state.as_stored()))
        world.upgrade("openab", tiny.namespace, "0.9.1", {"agents": {"kiro": world.agent_values()}})
        run = seek(tiny, chart=f"oci://{NOWHERE}/charts/openab")
        assert run.status == 0, run.output
        assert "upgrade c0ffee to 0.9.1 is under way" in run.evidence("test_target_is_not_what_runs")
        assert run.evidence("test_charts_are_pulled").count(f"openab-0.9.1.tgz, SHA-256 {target['digest']}") == 1
        assert run.verdicts()["test_nodes_have_room"] == "not needed"
        shutil.rmtree(record.parent)
        failed(seek(tiny, chart=f"oci://{NOWHERE}/charts/openab"), "test_target_version_is_known", "does not answer")


def room(
    status: Status, namespace: str, chart: Path, monkeypatch: pytest.MonkeyPatch, config: Path | None = None
) -> capacity.Room:
    """Ask for room for a chart, as the stage does."""
    monkeypatch.setenv("PATH", f"{status.bin}{os.pathsep}{os.environ['PATH']}")
    helm = Helm(Cluster(kubeconfig.resolve(str(config or status.kubeconfig), None, namespace)))
    return capacity.check(releases.resolve(helm, releases.find(helm, None)), chart)


def asking(world: World, cpu: str) -> dict[str, Any]:
    agent = {**world.agent_values(), "resources": {"requests": {"cpu": cpu, "memory": "16Mi"}}}
    return {"agents": {"kiro": agent}}


def test_what_the_old_pod_has_is_free_for_the_new(
    world: World, status: Status, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two thirds of the node: a second pod beside it would not fit; then more than the node has."""
    cpus = float(world.kubectl("get", "nodes", "--output=jsonpath={.items[0].status.allocatable.cpu}"))
    world.install("openab", namespace, VERSION, asking(world, f"{int(cpus * 660)}m"))
    chart = world.package("0.8.2")
    assert room(status, namespace, chart, monkeypatch).verdict.passed
    world.upgrade("openab", namespace, VERSION, asking(world, "1000"), wait=False)
    found = room(status, namespace, chart, monkeypatch).verdict
    assert not found.passed
    (finding,) = found.findings
    assert finding.subject == DEPLOYMENT
    assert "cpu" in finding.observed
    assert "cpu 1000, memory 16 MiB free" in finding.expected


def test_a_volume_that_is_elsewhere(
    world: World, status: Status, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = f"pv-{namespace}"
    there = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["elsewhere"]}]}
    modes, size = ["ReadWriteOnce"], {"storage": "1Gi"}
    spec = {"accessModes": modes, "storageClassName": "", "resources": {"requests": size}, "volumeName": volume}
    objects = [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": volume},
            "spec": {
                "accessModes": modes,
                "capacity": size,
                "hostPath": {"path": str(tmp_path)},
                "claimRef": {"namespace": namespace, "name": "mine"},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [there]}},
            },
        },
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "mine"}, "spec": spec},
    ]
    manifest = tmp_path / "objects.json"
    manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    world.kubectl("--namespace", namespace, "apply", "--filename", manifest)
    try:
        agent = {**world.agent_values(), "persistence": {"existingClaim": "mine"}}
        world.install("openab", namespace, "0.8.2", {"agents": {"kiro": agent}}, wait=False)
        (finding,) = room(status, namespace, world.package("0.8.2"), monkeypatch).verdict.findings
        assert finding.observed.endswith(": its volume is elsewhere")
    finally:
        world.kubectl("delete", "persistentvolume", volume, "--wait=false")


RIGHTS = [
    {"apiGroups": [""], "resources": ["secrets", "pods"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]},
]
"""What the stage takes; nodes and volumes are not among it."""


def test_who_may_not_look_at_nodes_gets_a_warning(tiny: Tiny, status: Status, tmp_path: Path) -> None:
    config = account(tiny.world, status, tiny.namespace, RIGHTS, tmp_path / "limited")
    run = seek(tiny, "--target-version=0.8.2", f"--kubeconfig={config}")
    assert run.status == 0, run.output
    assert f"room on the nodes: warning: room for {DEPLOYMENT} was not checked" in run.output
    assert "is forbidden" in run.evidence("test_nodes_have_room")


def test_a_webhook_is_told_and_one_that_fails_is_named(world: World) -> None:
    number = uuid4().int % 10**18
    path = f"/api/webhooks/{number}/t0ken"
    announcer = Announcer.to([f"{world.endpoint.url}{path}"])
    assert announcer.send("Upgrade begins", "expect 5 s") == "Upgrade begins (Discord: sent)"
    arrived = [hook["body"] for hook in world.endpoint.log()["webhooks"] if hook["webhook"] == str(number)]
    assert len(arrived) == 1
    assert "expect 5 s" in json.dumps(arrived)
    world.endpoint.fail(path, status=0, times=2)
    assert "send this by hand: Upgrade ends" in announcer.send("Upgrade ends", "all well")
