"""Bad input: each ends with one message that names the problem and the next step, and with nothing half-made."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from sandbox import Status
from tests.integration.conftest import ROOT, Run, Suites, new_namespace
from tests.integration.suites.callers import account, kubeconfig, least_rights, write
from tests.integration.suites.underway import DEADLINE, children, copying, ended
from world import World

RELEASE = "openab"
AGENT = "openab-kiro"
VERSION = "0.8.1"

ROLE: list[dict[str, list[str]]] = [
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["configmaps", "persistentvolumeclaims"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]},
]
"""What a backup of running agents takes; the README's Role."""


def refused(suites: Suites, run: Run, *words: str, status: int = 1) -> None:
    """Check that a run failed with a message that has these words, and left nothing that looks like a backup."""
    assert run.status == status, run.output
    told = " ".join(run.output.split())
    for word in (*words, "next: "):
        assert word in told, f"{word!r} is not in: {run.output}"
    report = run.report / "report.html"
    for text in (run.output, report.read_text() if report.exists() else ""):
        assert "Traceback (most recent call last)" not in text
        assert "this is a defect" not in text
    assert suites.backups() == []
    assert list(suites.backup_root.glob(".openab-backup-*")) == []


def tools(directory: Path, suites: Suites, *names: str) -> str:
    """A PATH with these tools only."""
    directory.mkdir()
    for name in names:
        found = shutil.which(name, path=suites.env["PATH"])
        assert found, name
        (directory / name).symlink_to(found)
    return str(directory)


def run_as(suites: Suites, prefix: list[str], *arguments: str) -> Run:
    """Run a suite behind another command."""
    done = subprocess.run(
        [*prefix, *suites.argv(*arguments)], cwd=ROOT, env=suites.env, capture_output=True, text=True, timeout=DEADLINE
    )
    reports = sorted(suites.reports.glob("*"))
    return Run(done.returncode, done.stdout + done.stderr, reports[-1] if reports else suites.reports)


LIKE_AN_ORDINARY_USER = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
"""root without the right to pass over file permissions: what is another user's is closed to it."""
OTHER = 65534
"""A user who is not this one."""


@contextmanager
def small_disk(directory: Path, size: str) -> Generator[None]:
    """A file system of its own on a directory; gone afterwards."""
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(directory)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(directory)], check=True)


@pytest.fixture(scope="module")
def small(world: World) -> Iterator[str]:
    """A namespace with one release whose home takes long enough to copy that something can happen meanwhile."""
    with new_namespace(world) as name:
        world.install(RELEASE, name, VERSION, {"agents": {"kiro": world.agent_values()}})
        world.fill_home(name, AGENT, "random", size=150_000_000, files=3)
        yield name


# -- the kubeconfig ----------------------------------------------------------------------------------------------------


def test_no_cluster(suites: Suites, status: Status, tmp_path: Path) -> None:
    document = kubeconfig(status)
    document["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    run = suites.run("suites/backup", f"--kubeconfig={write(tmp_path / 'config', document)}")
    refused(suites, run, "the cluster at https://127.0.0.1:1", "does not answer", "kubectl --context sandbox version")


def test_a_cluster_that_never_answers(suites: Suites, status: Status, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        document = kubeconfig(status)
        document["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{silent.getsockname()[1]}"
        begun = time.monotonic()
        run = suites.run("suites/backup", f"--kubeconfig={write(tmp_path / 'config', document)}")
    refused(suites, run, "does not answer")
    assert time.monotonic() - begun < DEADLINE


def test_wrong_context(suites: Suites) -> None:
    refused(suites, suites.run("suites/backup", "--context=production"), "context 'production' is not in", "sandbox")


def test_no_kubeconfig(suites: Suites, tmp_path: Path) -> None:
    run = suites.run("suites/backup", env={"KUBECONFIG": str(tmp_path / "none")})
    refused(suites, run, f"no kubeconfig: {tmp_path / 'none'} (from KUBECONFIG) does not exist", "--kubeconfig=FILE")


def test_a_kubeconfig_that_may_not_be_read(suites: Suites, status: Status, tmp_path: Path) -> None:
    path = write(tmp_path / "config", kubeconfig(status))
    os.chown(path, OTHER, OTHER)
    run = run_as(suites, LIKE_AN_ORDINARY_USER, "suites/backup", f"--kubeconfig={path}")
    refused(suites, run, f"kubeconfig {path} (from --kubeconfig) may not be read by this user", "make it readable")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{{ not yaml", "is not YAML"),
        ("contexts: none", "is not a kubeconfig"),
        ("apiVersion: v1\nkind: Config\n", "sets no current context"),
        ("current-context: x\ncontexts: [{name: x, context: {cluster: y}}]", "cannot be used"),
    ],
)
def test_a_kubeconfig_that_is_none(suites: Suites, tmp_path: Path, text: str, words: str) -> None:
    refused(suites, suites.run("suites/readiness", f"--kubeconfig={write(tmp_path / 'config', text)}"), words)


def test_a_caller_that_the_cluster_does_not_know(suites: Suites, status: Status, tmp_path: Path) -> None:
    document = kubeconfig(status)
    document["users"] = [{"name": "admin", "user": {"token": "not-a-token-of-this-cluster"}}]
    path = write(tmp_path / "config", document)
    run = suites.run("suites/backup", f"--kubeconfig={path}")
    refused(suites, run, "does not know the caller of context sandbox", "log in again")
    assert "not-a-token-of-this-cluster" not in run.output + run.html


def test_a_caller_who_may_do_nothing(suites: Suites, world: World, status: Status, small: str, tmp_path: Path) -> None:
    path = account(world, status, small, [], tmp_path / "nothing")
    run = suites.run("suites/backup", f"--kubeconfig={path}", f"--namespace={small}")
    refused(suites, run, "this caller may not: ", "list secrets", "create pods/exec", "python -m openab_sop.rights ")


def test_a_caller_without_exec(suites: Suites, world: World, status: Status, small: str, tmp_path: Path) -> None:
    rules = [rule for rule in ROLE if rule["resources"] != ["pods/exec"]]
    path = account(world, status, small, rules, tmp_path / "noexec")
    run = suites.run("suites/backup", f"--kubeconfig={path}", f"--namespace={small}")
    refused(suites, run, "this caller may not: create pods/exec, get pods/exec", "have somebody grant them")


def test_the_role_that_is_printed_suffices(
    suites: Suites, world: World, status: Status, small: str, tmp_path: Path
) -> None:
    path = account(world, status, small, least_rights("backup"), tmp_path / "minimal")
    run = suites.run("suites/backup", f"--kubeconfig={path}", f"--namespace={small}")
    assert run.status == 0, run.output
    assert len(suites.backups()) == 1


# -- tools and the release ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("missing", "present"), [("helm", "kubectl"), ("kubectl", "helm")])
def test_a_missing_tool(suites: Suites, tmp_path: Path, missing: str, present: str) -> None:
    run = suites.run("suites/backup", env={"PATH": tools(tmp_path / "bin", suites, present)})
    refused(suites, run, f"{missing} is not on PATH", f"install {missing}")


def test_no_release(suites: Suites, namespace: str) -> None:
    run = suites.run("suites/backup", f"--namespace={namespace}")
    refused(suites, run, f"namespace {namespace} (--namespace, context sandbox) has no release", "releases there: none")


def test_no_such_namespace(suites: Suites) -> None:
    run = suites.run("suites/backup", "--namespace=no-such-namespace")
    refused(suites, run, "namespace no-such-namespace (from --namespace) does not exist", "kubectl get namespaces")


def test_several_releases_another_chart_and_an_unknown_name(
    suites: Suites, world: World, namespace: str, tmp_path: Path
) -> None:
    chart = tmp_path / "other"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: other\nversion: 1.0.0\n")
    world.helm(["install", "stranger", chart, "--namespace", namespace])
    where = f"--namespace={namespace}"
    refused(suites, suites.run("suites/backup", where), "releases there: stranger (other 1.0.0)")
    refused(suites, suites.run("suites/backup", where, "--release=stranger"), "release stranger is of chart other")
    refused(suites, suites.run("suites/backup", where, "--release=none"), f"namespace {namespace} has no release none")
    for name in ("first", "second"):
        world.install(name, namespace, VERSION, {"agents": {"kiro": world.agent_values()}}, wait=False)
    run = suites.run("suites/backup", where)
    refused(suites, run, "2 releases of OpenAB: first, second", "--release=first")
    world.kubectl("--namespace", namespace, "delete", "deployment", "first-openab-kiro")
    run = suites.run("suites/backup", where, "--release=first")
    refused(suites, run, "Deployment first-openab-kiro is in the release's manifest, but not on the cluster", "helm")


# -- the backup root ---------------------------------------------------------------------------------------------------


def test_a_backup_root_that_may_not_be_written(suites: Suites, small: str) -> None:
    suites.backup_root.mkdir()
    os.chown(suites.backup_root, OTHER, OTHER)
    run = run_as(suites, LIKE_AN_ORDINARY_USER, "suites/backup", f"--namespace={small}")
    refused(suites, run, f"{suites.backup_root} belongs to ", "--backup-root=DIR")


def test_a_backup_root_that_is_a_file(suites: Suites, small: str) -> None:
    suites.backup_root.write_text("")
    run = suites.run("suites/backup", f"--namespace={small}")
    refused(suites, run, f"{suites.backup_root}: File exists", "--backup-root=DIR")


def test_a_disk_that_is_full(suites: Suites, small: str) -> None:
    with small_disk(suites.backup_root, "1m"):
        run = suites.run("suites/backup", f"--namespace={small}")
        refused(suites, run, f"{suites.backup_root} has ", "bytes free; a backup needs at least", "make room")


def test_a_disk_that_the_homes_do_not_fit_on(suites: Suites, small: str) -> None:
    with small_disk(suites.backup_root, "150m"):
        run = suites.run("suites/backup", f"--namespace={small}")
        refused(suites, run, "the homes take ", "make room")


def test_a_disk_that_runs_full_in_the_middle_of_the_copy(suites: Suites, small: str) -> None:
    with small_disk(suites.backup_root, "300m"):
        with copying(suites, small) as process:
            with (suites.backup_root / "filler").open("wb", buffering=0) as filler, suppress(OSError):
                while filler.write(bytes(1 << 20)):  # until nothing more fits, for the copy neither
                    pass
            run = ended(suites, process)
        refused(suites, run, "No space left on device", "make room")


# -- the pod -----------------------------------------------------------------------------------------------------------


def test_the_stream_is_cut(suites: Suites, small: str) -> None:
    """The copy is made once more, and what is kept is whole."""
    with copying(suites, small) as process:
        for kubectl in [pid for pid, command in children(process.pid) if " exec " in command]:
            os.kill(kubectl, signal.SIGKILL)
        run = ended(suites, process)
    assert run.status == 0, run.output
    assert "was cut off after" in run.html
    assert suites.run("suites/verify", f"--backup={suites.backups()[0]}").status == 0


def test_the_pod_is_deleted_in_the_middle_of_the_copy(suites: Suites, world: World, small: str) -> None:
    with copying(suites, small) as process:
        world.kubectl("--namespace", small, "delete", "pods", "--all", "--grace-period=0", "--force", "--wait=false")
        run = ended(suites, process)
    assert run.status == 0, run.output
    assert "was cut off after" in run.html
    assert suites.run("suites/verify", f"--backup={suites.backups()[0]}").status == 0
    world.kubectl("--namespace", small, "rollout", "status", "deployment", AGENT, "--timeout=120s")


def test_a_file_that_the_agent_may_not_read(suites: Suites, world: World, namespace: str) -> None:
    world.install(RELEASE, namespace, VERSION, {"agents": {"kiro": world.agent_values()}})
    world.fill_home(namespace, AGENT, "unreadable")
    run = suites.run("suites/backup", f"--namespace={namespace}")
    refused(suites, run, "the agent's user may not read it", "fix its owner or mode, or remove it")


def test_a_pod_without_tar(suites: Suites, world: World, namespace: str) -> None:
    world.install(RELEASE, namespace, VERSION, {"agents": {"kiro": world.agent_values()}})
    world.kubectl("--namespace", namespace, "create", "configmap", "no-tar", "--from-literal=tar=")
    hidden = {
        "spec": {
            "template": {
                "spec": {
                    "volumes": [{"name": "no-tar", "configMap": {"name": "no-tar", "defaultMode": 0o444}}],
                    "containers": [
                        {
                            "name": "openab",
                            "volumeMounts": [{"name": "no-tar", "mountPath": "/usr/bin/tar", "subPath": "tar"}],
                        }
                    ],
                }
            }
        }
    }
    world.kubectl("--namespace", namespace, "patch", "deployment", AGENT, "--patch", json.dumps(hidden))
    world.kubectl("--namespace", namespace, "rollout", "status", "deployment", AGENT, "--timeout=120s")
    run = suites.run("suites/backup", f"--namespace={namespace}")
    refused(suites, run, f"the container of {AGENT} has no tar", "2.0")


# -- the session -------------------------------------------------------------------------------------------------------


def test_a_session_that_the_command_line_contradicts_or_that_is_damaged(suites: Suites, small: str) -> None:
    prepared = suites.run("suites/preparation", f"--namespace={small}")
    assert prepared.status == 0, prepared.output
    (session,) = suites.backup_root.glob("sessions/*/*/*/session.json")
    env = {"OPENAB_SESSION": str(session)}
    run = suites.run("suites/backup", "--namespace=another", env=env)
    refused(suites, run, f"--namespace=another contradicts the session {session}", "unset OPENAB_SESSION", status=4)
    session.write_text(session.read_text()[:100])
    run = suites.run("suites/backup", env=env)
    refused(suites, run, f"{session} (from OPENAB_SESSION) is not a session file", "unset OPENAB_SESSION", status=4)
