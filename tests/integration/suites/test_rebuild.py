"""A namespace that is gone, rebuilt from the backup's directory alone: judged by rsync, sqlite3, kubectl and helm."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from sandbox import Sandbox, Status
from tests.integration.conftest import Run, Suites, new_namespace
from tests.integration.suites.callers import account, least_rights
from tests.integration.suites.conftest import Volumes
from tests.integration.suites.test_encryption import identity
from tests.integration.suites.underway import DEADLINE, until
from world import World

AGENTS = {"openab-kiro": "openab-kiro", "openab-claude": "precious"}
"""Deployments and their claims: one is the chart's, one is not."""
CLASS = "spare"
"""The storage class of the claim that is not the chart's."""
DATABASE = ".local/share/kiro-cli/data.sqlite3"
LIVE = ("/.local/share/kiro-cli/", "/.kiro/sessions/", "/AGENTS.md", "/CLAUDE.md", "/GEMINI.md")
"""What a running agent writes itself, and what kubelet leaves where it mounts a ConfigMap's file."""


@dataclass(frozen=True)
class Lost:
    """A release that was backed up, what it was, and a namespace that may be deleted."""

    world: World
    status: Status
    volumes: Volumes
    suites: Suites
    namespace: str
    backup: Path
    copies: Path
    secrets: str
    rows: dict[str, int]

    def kubectl(self, *arguments: str) -> str:
        return self.world.kubectl("--namespace", self.namespace, *arguments)

    def lose(self) -> None:
        """Delete the namespace with everything in it."""
        self.world.kubectl("delete", "namespace", self.namespace, "--ignore-not-found", "--timeout=120s")

    def rebuild(self, *arguments: str, backup: Path | None = None, env: dict[str, str] | None = None) -> Run:
        where = (f"--namespace={self.namespace}", f"--backup={backup or self.backup}")
        return self.suites.run("suites/rebuild", *where, *arguments, env=env)

    def assert_whole(self) -> None:
        """Check that volumes, Secrets and agents are what they were, and that nothing of ours is left."""
        for deployment, claim in AGENTS.items():
            volume = self.volumes.of(self.namespace, claim)
            assert differences(volume, self.copies / deployment) == []
            assert rows(volume) >= self.rows[deployment]
            assert self.kubectl("get", "deploy", deployment, "--output=jsonpath={.status.availableReplicas}") == "1"
        assert contents(self.world, self.namespace) == self.secrets
        helpers = "{.items[?(@.metadata.labels.openab-sop/agent)].metadata.name}"
        assert self.kubectl("get", "pods", f"--output=jsonpath={helpers}") == ""


def differences(volume: Path, copy: Path) -> list[str]:
    """What rsync finds between a volume and its copy, but for what a running agent writes."""
    flags = ["-naHX", "--checksum", "--numeric-ids", "--delete", "--itemize-changes", "--modify-window=-1"]
    excluded = [f"--exclude={path}" for path in LIVE]
    done = subprocess.run(["rsync", *flags, *excluded, f"{volume}/", f"{copy}/"], check=True, capture_output=True)
    return [line for line in done.stdout.decode("utf-8", "replace").splitlines() if not line.endswith(" ./")]


def rows(volume: Path) -> int:
    """Rows of an agent's database, as the sqlite3 program counts them in a copy of its files."""
    query = "PRAGMA integrity_check; SELECT count(*) FROM heartbeat;"
    with TemporaryDirectory() as directory:
        for path in (volume / DATABASE).parent.glob("data.sqlite3*"):
            shutil.copy(path, directory)
        command = ["sqlite3", Path(directory, "data.sqlite3"), query]
        verdict, count = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert verdict == "ok"
    return int(count)


def contents(world: World, namespace: str) -> str:
    """What the Secrets and ConfigMaps of a namespace hold, but for Helm's own records and the cluster's."""
    found = json.loads(world.kubectl("--namespace", namespace, "get", "secrets,configmaps", "--output=json"))["items"]
    mine = [item for item in found if not item["metadata"]["name"].startswith(("sh.helm.", "kube-root-ca"))]
    return json.dumps({f"{item['kind']}/{item['metadata']['name']}": item.get("data") for item in mine}, sort_keys=True)


def create(world: World, *bodies: dict[str, Any]) -> None:
    """Create objects."""
    with TemporaryDirectory() as directory:
        path = Path(directory, "objects.json")
        path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": bodies}))
        world.kubectl("create", "--filename", path)


def claim(namespace: str, name: str, class_name: str) -> dict[str, Any]:
    """A claim as an operator makes one."""
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": class_name}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {**spec, "resources": {"requests": {"storage": "1Gi"}}},
    }


@pytest.fixture(scope="module")
def spare_class(world: World) -> Iterator[None]:
    """A second storage class; not the default."""
    (default, *_) = json.loads(world.kubectl("get", "storageclass", "--output=json"))["items"]
    kept = {key: default[key] for key in ("apiVersion", "kind", "provisioner", "volumeBindingMode", "reclaimPolicy")}
    create(world, {**kept, "metadata": {"name": CLASS}})
    yield
    world.kubectl("delete", "storageclass", CLASS)


@pytest.fixture(scope="module")
def lost(
    world: World, status: Status, volumes: Volumes, spare_class: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lost]:
    """Two agents with realistic homes: one on the chart's claim, one on a claim and with a Secret that are not."""
    extra = {"secretEnv": [{"name": "EXTRA", "secretName": "extra", "secretKey": "key"}], "command": "claude"}
    kiro = {**world.agent_values(), "agentsMd": "# From the chart\n"}
    claude = {**world.agent_values(), **extra, "persistence": {"existingClaim": "precious"}}
    with new_namespace(world) as namespace:
        create(world, claim(namespace, "precious", CLASS))
        own = ("--namespace", namespace)
        world.kubectl(*own, "create", "secret", "generic", "extra", "--from-literal=key=of-somebody-else")
        world.install("openab", namespace, "0.8.1", {"agents": {"kiro": kiro, "claude": claude}})
        for seed, deployment in enumerate(AGENTS, start=1):
            world.fill_home(namespace, deployment, seed=seed)
        # Nothing writes from now on; and a pod's start gives every file to its fsGroup, before anything is compared.
        world.kubectl(*own, "set", "env", *(f"deploy/{name}" for name in AGENTS), "OPENAB_WRITE_INTERVAL=0")
        world.kubectl(*own, "rollout", "status", "deploy", "--timeout=120s")
        copies, counted = tmp_path_factory.mktemp("copies"), dict[str, int]()
        for deployment, name in AGENTS.items():
            volume = volumes.of(namespace, name)
            subprocess.run(["rsync", "-aHXS", f"{volume}/", f"{copies / deployment}/"], check=True)
            counted[deployment] = rows(volume)
        suites = Suites.at(tmp_path_factory.mktemp("rebuild"), status)
        run = suites.run("suites/backup", f"--namespace={namespace}")
        assert run.status == 0, run.output
        (backup,) = suites.backups()
        assert all(counted.values())
        yield Lost(world, status, volumes, suites, namespace, backup, copies, contents(world, namespace), counted)


@pytest.fixture(scope="module")
def rebuilt(lost: Lost) -> Run:
    """The run that rebuilds it after the namespace was deleted; the tests up to the next deletion look at it."""
    lost.lose()
    run = lost.rebuild()
    assert run.status == 0, run.output
    return run


def test_everything_comes_back(lost: Lost, rebuilt: Run) -> None:
    lost.assert_whole()
    (listed,) = json.loads(lost.world.helm(["list", "--namespace", lost.namespace, "--output=json"]))
    assert (listed["name"], listed["revision"], listed["chart"]) == ("openab", "1", "openab-0.8.1")
    assert "revisions begin anew" in rebuilt.evidence("test_release_is_installed")
    assert lost.kubectl("get", "pvc", "precious", "--output=jsonpath={.spec.storageClassName}") == CLASS


def test_no_agent_ran_before_its_volume_was_proved(lost: Lost, rebuilt: Run) -> None:
    ends = {event["test"]: event["time"] for event in rebuilt.journal if event["event"] == "step ends"}
    proved = next(time for test, time in ends.items() if test.endswith("test_volumes_are_proved"))
    born = lost.kubectl("get", "pods", "--output=jsonpath={.items[*].metadata.creationTimestamp}").split()
    assert len(born) == len(AGENTS)
    assert all(moment[:19] >= proved[:19] for moment in born)


def test_a_second_run_has_nothing_to_do(lost: Lost, rebuilt: Run) -> None:
    pods = lost.kubectl("get", "pods", "--output=jsonpath={.items[*].metadata.uid}")
    run = lost.rebuild()
    assert run.status == 0, run.output
    assert run.verdicts()["test_release_is_installed"] == run.verdicts()["test_volumes_are_filled"] == "not needed"
    assert lost.kubectl("get", "pods", "--output=jsonpath={.items[*].metadata.uid}") == pods


def test_restore_goes_on_from_the_same_backup(lost: Lost, rebuilt: Run) -> None:
    lost.kubectl("exec", "deploy/openab-kiro", "--", "sh", "-c", "rm -r ~/.kiro/steering")
    run = lost.suites.run(
        "suites/restore", f"--namespace={lost.namespace}", f"--backup={lost.backup}", "--items=steering"
    )
    assert run.status == 0, run.output
    steering = ".kiro/steering"
    assert (
        differences(lost.volumes.of(lost.namespace, "openab-kiro") / steering, lost.copies / "openab-kiro" / steering)
        == []
    )


def test_helm_goes_on_and_a_release_that_lives_is_refused(lost: Lost, rebuilt: Run) -> None:
    """Helm's next upgrade meets no field of ours; from then on the release is not the rebuild's any more."""
    chart, values = lost.world.package("0.8.2"), lost.backup / "values.yaml"
    lost.world.helm(["upgrade", "openab", chart, "--namespace", lost.namespace, "--values", values])
    lost.kubectl("rollout", "status", "deploy", "--timeout=120s")
    run = lost.rebuild()
    assert run.status == 1, run.output
    assert "release openab: it is there: openab 0.8.2, revision 2" in run.output
    assert f"next: bring its data back with: pytest suites/restore --backup={lost.backup.name}" in run.output


def test_a_release_comes_back_onto_the_claims_that_an_uninstall_has_left(lost: Lost, rebuilt: Run) -> None:
    """What the agents wrote since the backup is not lost, and what is gone since is not passed over."""
    volume = lost.volumes.of(lost.namespace, "openab-kiro")
    lost.kubectl("exec", "deploy/openab-kiro", "--", "sh", "-c", "cd; echo newer > .bash_history; rm -r .kiro/skills")
    claims = lost.kubectl("get", "pvc", "--output=jsonpath={.items[*].metadata.uid}")
    lost.world.helm(["uninstall", "openab", "--namespace", lost.namespace, "--wait"])
    lost.kubectl("wait", "--for=delete", "pods", "--all", "--timeout=60s")
    before = fingerprint(volume)
    run = lost.rebuild()
    assert run.status == 1, run.output
    assert "files of the backup are not on it" in run.output
    assert fingerprint(volume) == before
    assert lost.kubectl("get", "deployments", "--output=name") == ""
    whose = "meta.helm.sh/release-name"
    lost.kubectl("annotate", "--overwrite", "pvc", "openab-kiro", f"{whose}=other")
    run = lost.rebuild("--accept=claim-kept:openab-kiro", "--reason=the skills were given up")
    assert (run.status, "that it is of release other" in run.output) == (1, True), run.output
    lost.kubectl("annotate", "--overwrite", "pvc", "openab-kiro", f"{whose}=openab")
    run = lost.rebuild("--accept=claim-kept:openab-kiro", "--reason=the skills were given up")
    assert run.status == 0, run.output
    assert run.verdicts()["test_volumes_are_filled"] == "not needed"
    assert lost.kubectl("get", "pvc", "--output=jsonpath={.items[*].metadata.uid}") == claims
    assert (volume / ".bash_history").read_text() == "newer\n"
    assert not (volume / ".kiro/skills").exists()
    assert rows(volume) >= lost.rows["openab-kiro"]
    running = lost.kubectl("get", "deploy", "--output=jsonpath={.items[*].status.availableReplicas}")
    assert running == "1 1"
    assert lost.rebuild("--accept=claim-kept:openab-kiro", "--reason=again").status == 0
    lost.world.helm(["uninstall", "openab", "--namespace", lost.namespace, "--wait"])
    lost.kubectl("wait", "--for=delete", "pods", "--all", "--timeout=60s")
    older = volume / ".config/gh/hosts.yml"
    was = older.stat()
    older.write_text("# somebody has put another content under the old time\n")
    os.utime(older, ns=(was.st_atime_ns, was.st_mtime_ns))
    run = lost.rebuild()
    assert run.status == 1, run.output
    assert "not those of the backup, and not newer ('.config/gh/hosts.yml')" in run.output
    lost.kubectl("patch", "pvc", "openab-kiro", "--patch", '{"metadata": {"finalizers": ["example.org/stays"]}}')
    lost.kubectl("delete", "pvc", "openab-kiro", "--wait=false")
    run = lost.rebuild("--accept=claim-kept:openab-kiro", "--reason=x")
    assert (run.status, "it is being deleted" in run.output) == (1, True), run.output
    lost.kubectl("patch", "pvc", "openab-kiro", "--patch", '{"metadata": {"finalizers": null}}')


def fingerprint(volume: Path) -> dict[str, tuple[int, bytes]]:
    """Time and digest of each file of a volume."""
    files = (path for path in volume.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).digest()) for path in files}


def test_somebody_elses_claim_is_refused(lost: Lost) -> None:
    """Nothing is made before all of it is known to be free: the cluster is as it was."""
    lost.lose()
    lost.world.kubectl("create", "namespace", lost.namespace)
    (default, *_) = lost.world.kubectl("get", "storageclass", "--output=jsonpath={.items[*].metadata.name}").split()
    create(lost.world, claim(lost.namespace, "precious", default))
    write = {"name": "w", "image": "openab.local/openab:0.8.1", "command": ["sh", "-c", "echo mine > /v/mine"]}
    mounted = [{"name": "v", "persistentVolumeClaim": {"claimName": "precious"}}]
    spec = {"restartPolicy": "Never", "securityContext": {"runAsUser": 0}, "volumes": mounted}
    writer = {**spec, "containers": [{**write, "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]}
    metadata = {"namespace": lost.namespace, "name": "writer"}
    create(lost.world, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": writer})
    lost.kubectl("wait", "pod/writer", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
    run = lost.rebuild()
    assert run.status == 1, run.output
    assert "claim precious: it is there, and it is not the claim that was backed up" in run.output
    assert lost.kubectl("get", "secrets,deployments", "--output=name") == ""
    assert lost.kubectl("get", "pvc", "--output=name").split() == ["persistentvolumeclaim/precious"]
    assert (lost.volumes.of(lost.namespace, "precious") / "mine").read_text() == "mine\n"


def test_an_install_that_failed_is_taken_up_again(lost: Lost) -> None:
    """A quota keeps helm from its Deployments: the volumes are full already, and the same command ends it."""
    lost.lose()
    lost.world.kubectl("create", "namespace", lost.namespace)
    lost.kubectl("create", "quota", "none", "--hard=count/deployments.apps=0")
    run = lost.rebuild()
    assert run.status == 15, run.output  # the data are whole, and proved
    assert "exceeded quota" in run.output
    lost.kubectl("delete", "quota", "none")
    again = lost.rebuild()
    assert again.status == 0, again.output
    assert again.verdicts()["test_volumes_are_filled"] == "not needed"
    lost.assert_whole()


@pytest.mark.parametrize("action", ["restore volume", "install release", "await start"])
def test_a_killed_rebuild_is_completed_by_the_next(lost: Lost, action: str) -> None:
    lost.lose()
    before = set(lost.suites.reports.iterdir())
    where = (f"--namespace={lost.namespace}", f"--backup={lost.backup}")
    process = lost.suites.begin("suites/rebuild", *where)
    until(process, lambda: began(lost.suites, before, action))
    process.kill(group=True)  # helm, kubectl and all
    process.wait(DEADLINE)
    run = lost.rebuild()
    assert run.status == 0, run.output
    lost.assert_whole()


def test_an_encrypted_backup_with_helm_3(lost: Lost, helm3: Path, tmp_path: Path) -> None:
    """The files are opened with --identity only; helm 3 adopts the claims as helm 4 does, and upgrades afterwards."""
    public = identity(tmp_path / "key.txt")
    env = {"PATH": f"{helm3}{os.pathsep}{lost.suites.env['PATH']}"}
    sealed = Suites.at(tmp_path, lost.status)
    made = sealed.run("suites/backup", f"--namespace={lost.namespace}", f"--encrypt-to={public}", env=env)
    assert made.status == 0, made.output
    (backup,) = sealed.backups()
    lost.lose()
    refused = lost.rebuild(backup=backup)
    assert refused.status == 1, refused.output
    assert "is encrypted to" in refused.output
    run = lost.rebuild(f"--identity={tmp_path / 'key.txt'}", backup=backup, env=env)
    assert run.status == 0, run.output
    lost.assert_whole()
    arguments = ["upgrade", "openab", lost.world.package("0.8.2"), "--namespace", lost.namespace, "--reuse-values"]
    subprocess.run([helm3 / "helm", *arguments], check=True, env=dict(lost.suites.env), capture_output=True)


def test_the_role_that_is_printed_suffices(lost: Lost, tmp_path: Path) -> None:
    lost.lose()
    lost.world.kubectl("create", "namespace", lost.namespace)
    path = account(lost.world, lost.status, lost.namespace, least_rights("rebuild"), tmp_path / "rebuilder")
    run = lost.rebuild(f"--kubeconfig={path}")
    assert run.status == 0, run.output
    lost.assert_whole()


def test_a_caller_who_may_not_make_the_namespace(lost: Lost, tmp_path: Path, namespace: str) -> None:
    """One who may look at everything, and change nothing: the namespace and each right are told."""
    lost.lose()
    path = account(lost.world, lost.status, namespace, least_rights("rebuild"), tmp_path / "elsewhere")
    binding = ("clusterrolebinding", f"looks-from-{namespace}")
    lost.world.kubectl("create", *binding, "--clusterrole=view", f"--serviceaccount={namespace}:elsewhere")
    try:
        run = lost.rebuild(f"--kubeconfig={path}")
    finally:
        lost.world.kubectl("delete", *binding)
    assert run.status == 1, run.output
    told = " ".join(run.output.split())
    assert f"namespace {lost.namespace} does not exist, and this caller may not: create namespaces" in told
    assert f"next: have somebody run: kubectl create namespace {lost.namespace}" in told
    assert "may not: create configmaps, create deployments.apps, create persistentvolumeclaims" in told


def test_another_namespace_is_refused(lost: Lost) -> None:
    run = lost.suites.run("suites/rebuild", "--namespace=elsewhere", f"--backup={lost.backup}")
    assert run.status == 1, run.output
    assert f"next: run again with --namespace={lost.namespace}" in run.output
    assert lost.world.kubectl("get", "namespace", "elsewhere", "--ignore-not-found") == ""


def test_another_cluster(lost: Lost, tmp_path: Path) -> None:
    """Another node, which has never heard of the release, and has no storage class of the name."""
    other = Sandbox(Path(f"{lost.status.state}-other"))
    try:
        status = other.up(print)
        world = World(other)
        world.publish(print)
        suites = Suites.at(tmp_path, status)
        run = suites.run("suites/rebuild", f"--namespace={lost.namespace}", f"--backup={lost.backup}")
        assert run.status == 0, run.output
        assert f"there is no {CLASS}" in run.evidence("test_claims_are_made")
        there = Lost(
            world,
            status,
            Volumes(world, status),
            suites,
            lost.namespace,
            lost.backup,
            lost.copies,
            lost.secrets,
            lost.rows,
        )
        there.assert_whole()
    finally:
        other.down(purge=True)


def began(suites: Suites, before: set[Path], action: str) -> bool:
    """Whether the journal of a run that is not among `before` says that an action began."""
    journals = [path / "journal.jsonl" for path in set(suites.reports.iterdir()) - before]
    lines = [line for path in journals if path.exists() for line in path.read_text().splitlines(keepends=True)]
    events = [json.loads(line) for line in lines if line.endswith("\n")]
    return any(event["event"] == "action begins" and event["action"] == action for event in events)
