"""Where a copy of a release lives: a scratch namespace, or a corner of the release's own; gone without a trace after.

Whatever is made there names its run and when it expires, and belongs to a leash: a Job whose pod lives as long as this
process is attached to it. When we die, however we die, the Job is done and deleted, and the cluster deletes with it
whatever belongs to it. What a cluster or a caller without Jobs leaves, the next run removes, and ``suites/cleanup``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from secrets import token_hex

from openab_sop.agents.agent import Agent
from openab_sop.agents.helper_pod import LIFETIME, START, WAITS, attached, started
from openab_sop.agents.helper_pod import PREFIX as HELPER
from openab_sop.agents.own_pod import own_pod
from openab_sop.agents.workload import Workload
from openab_sop.cluster.kube import MANAGER, OWNER, Access, Cluster
from openab_sop.cluster.owner import is_dead, is_owner, owner
from openab_sop.cluster.pod import Pod
from openab_sop.errors import ClusterError, Forbidden, PodError
from openab_sop.escape import command
from openab_sop.objects import Object, at, part, parts
from openab_sop.wait import wait

REHEARSAL = f"{MANAGER}/rehearsal"
"""Label of whatever a rehearsal makes: the id of its run."""
OF = f"{MANAGER}/rehearsal-of"
"""Label of a scratch namespace: the release's."""
_EXPIRES = f"{MANAGER}/expires"
_MANAGED = "app.kubernetes.io/managed-by"
_SECURITY = "pod-security.kubernetes.io/"
_PREFIX = "rehearsal-"
"""What the names of copies begin with; the run's id follows."""
_ID = re.compile(r"[0-9a-f]{8}")
GONE = 300
"""Seconds until what was deleted must be gone."""
LABEL = 63
"""Characters that a label's value may have."""

_KINDS = ("Deployment", "Job", "Pod", "NetworkPolicy", "Secret", "ConfigMap", "PersistentVolumeClaim")
"""What a rehearsal makes, in the order in which it is deleted: nothing comes back, and claims are not in use."""
_NAMESPACES = tuple(Access(verb, "namespaces", in_namespace=False) for verb in ("create", "get", "list", "delete"))
NEEDED = (
    *(Access(verb, "deployments", "apps") for verb in ("create", "get", "list", "patch", "delete")),
    *(Access(verb, "pods") for verb in ("create", "get", "list", "patch", "delete")),
    *(Access(verb, "secrets") for verb in ("create", "list", "delete")),
    *(Access(verb, "configmaps") for verb in ("create", "list", "delete")),
    *(Access(verb, "persistentvolumeclaims") for verb in ("create", "list", "delete")),
    *(Access(verb, f"pods/{way}") for way in ("exec", "attach") for verb in ("get", "create")),
    Access("get", "pods/log"),
    Access("list", "replicasets", "apps"),
)
"""What a copy takes where it lives."""
_MAKES_JOBS = Access("create", "jobs", "batch")
MAKES_POLICIES = Access("create", "networkpolicies", "networking.k8s.io")
CUTS_OFF = (
    *(Access(verb, "jobs", "batch") for verb in ("create", "list", "delete")),
    *(Access(verb, "networkpolicies", "networking.k8s.io") for verb in ("create", "list", "delete")),
)
"""What makes a copy end by itself, and keeps it from calling out; it is done without where it must be."""


@dataclass(frozen=True)
class _Marked(Cluster):
    """A cluster where whatever is made, by whomever, is marked as one run's."""

    mark: Callable[[Object], Object]

    def create(self, kind: str, body: Object) -> Object:
        return super().create(kind, {**body, "metadata": self.mark(part(body, "metadata"))})


class Scratch:
    """A place for the copies of one run.

    Args:
        cluster: the cluster, in the namespace where they live.
        is_own: whether that is the release's own.
        id: the run's.

    Attributes:
        cluster: the same; what is made through it goes when the run does.
    """

    def __init__(self, cluster: Cluster, id: str, *, is_own: bool) -> None:
        self.id = id
        self.is_own = is_own
        self.cluster: Cluster = _Marked(cluster.access, self._marked, retry=cluster.retry, api=cluster.api)
        self._leash: list[Object] = []
        self._uid = ""

    def name(self, of: str) -> str:
        """Return the name of the copy of an object; it may be a label too."""
        name = f"{_PREFIX}{self.id}-{of}"
        return name if len(name) <= LABEL else f"{name[: LABEL - 9].rstrip('-.')}-{sha256(of.encode()).hexdigest()[:8]}"

    @property
    def labels(self) -> dict[str, str]:
        """Labels of whatever is made here: nothing of the release selects them."""
        return {_MANAGED: MANAGER, REHEARSAL: self.id}

    def make_namespace(self, like: Cluster) -> None:
        """Make the scratch namespace, with the same demands on its pods as another has, and wait until it takes some.

        Args:
            like: the release's.
        """
        if self.is_own:
            return
        name = self.cluster.namespace
        labels = {key: value for key, value in _labels_of(like).items() if key.startswith(_SECURITY)}
        metadata = {"name": name, "labels": {**labels, OF: like.namespace}}
        made = self.cluster.create("Namespace", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        self._uid = str(made["metadata"]["uid"])
        wait(
            self._unready,
            what=f"the service account of namespace {name}",
            timeout=START,
            next_step=f"{command('kubectl', '-n', name, 'get', 'serviceaccounts')}; then run again",
        )

    @contextmanager
    def leashed(self, like: Workload) -> Generator[Pod]:
        """Have whatever is made in the block belong to this process; gives a pod that is ours to look from.

        Args:
            like: an agent's copy, whose image, user and placement the pod takes.

        Raises:
            SopError: it does not start.
        """
        name, template = self.name("leash"), self._leash_pod(like)
        body: Object = {"apiVersion": "v1", "kind": "Pod", **template}
        if self.cluster.allowed(_MAKES_JOBS):
            job = {"backoffLimit": 0, "activeDeadlineSeconds": LIFETIME, "ttlSecondsAfterFinished": 0}
            body = {"apiVersion": "batch/v1", "kind": "Job", "spec": {**job, "template": template}}
        metadata = {**part(body, "metadata"), "name": name}
        made = self.cluster.create(str(body["kind"]), {**body, "metadata": metadata})
        named = {"name": name, "uid": made["metadata"]["uid"]}
        self._leash = [{"apiVersion": body["apiVersion"], "kind": body["kind"], **named}]
        of_ours = ("describe", "pods,jobs", "-l", f"{REHEARSAL}={self.id}")
        show = f"{command('kubectl', '-n', self.cluster.namespace, *of_ours)} shows why"
        wait(
            lambda: None if self._leash_pods() else "there is none",
            what="the making of the rehearsal's first pod",
            timeout=START,
            next_step=show,
        )
        pod = str(self._leash_pods()[0]["metadata"]["name"])
        if problem := started(self.cluster, pod, _LEASH, START):
            raise PodError(f"the rehearsal's first pod does not start: {problem}", show)
        with attached(self.cluster, pod):
            yield Pod.of(self.cluster, self.cluster.get("Pod", pod), _LEASH)

    def remove(self) -> None:
        """Remove all of it, and wait until it is gone.

        Raises:
            SopError: something stays.
        """
        if self.is_own or self._uid:
            _remove(self.cluster, _Left(self.id, "" if self.is_own else self.cluster.namespace, self._uid))

    def _marked(self, given: Object) -> Object:
        expires = datetime.now(UTC) + timedelta(seconds=LIFETIME)
        notes = {OWNER: owner(), _EXPIRES: expires.isoformat(timespec="seconds")}
        labels = {**part(given, "labels"), **self.labels}
        return {"name": given["name"], "labels": labels, "annotations": notes, "ownerReferences": self._leash}

    def _unready(self) -> str | None:
        with suppress(Forbidden):
            return None if self.cluster.find("ServiceAccount", "default") else "it is not there yet"
        return None

    def _leash_pod(self, like: Workload) -> Object:
        """The template of a pod like the agent's; it asks for room of its own only where the release's quota counts."""
        extra = {"name": _LEASH, "stdin": True, "stdinOnce": True}
        body = own_pod("", Agent.of(like.body), like.pod, command=WAITS, lifetime=LIFETIME, container=extra)
        (container,) = body["spec"]["containers"]
        if not self.is_own:
            container.pop("resources", None)
        labels = {**part(body, "metadata", "labels"), **self.labels, _LEASH_LABEL: self.id}
        return {"metadata": {**body["metadata"], "labels": labels}, "spec": body["spec"]}

    def _leash_pods(self) -> list[Object]:
        """The pod that we hold: the leash itself, or what its Job has made; a label anybody may have put on another."""
        (leash,) = (str(one["uid"]) for one in self._leash)
        found = self.cluster.list("Pod", f"{_LEASH_LABEL}={self.id}")
        return [pod for pod in found if leash in (at(pod, "metadata", "uid"), *_owners(pod))]


def _owners(pod: Object) -> list[str]:
    return [str(owner["uid"]) for owner in parts(pod, "metadata", "ownerReferences") if owner.get("controller")]


_LEASH = "leash"
_LEASH_LABEL = f"{MANAGER}/leash"


def choose(cluster: Cluster) -> Scratch:
    """Choose where a copy of what lives in a namespace shall live; nothing is made yet.

    Raises:
        ClusterError: the caller may make a copy nowhere; the message says what is possible all the same.
    """
    id = token_hex(4)
    there = [Access(a.verb, a.resource, a.group, in_namespace=False) for a in NEEDED]
    if all(cluster.allowed(access) for access in (*_NAMESPACES, *there)):
        return Scratch(cluster.elsewhere(_namespace_of(id, cluster.namespace)), id, is_own=False)
    if missing := [str(access) for access in NEEDED if not cluster.allowed(access)]:
        raise ClusterError(
            f"this caller may make no copy: neither namespaces, nor in namespace {cluster.namespace}: "
            f"{', '.join(missing)}",
            "ask for a Role with these verbs; without a rehearsal there still are the plan (pytest suites/plan) and "
            "the upgrade's own gates, which roll back",
        )
    return Scratch(cluster, id, is_own=True)


@dataclass(frozen=True)
class _Left:
    """What a run has made: its id; its namespace with the UID, or nothing where it had none of its own."""

    run: str
    namespace: str = ""
    uid: str = ""


def sweep(cluster: Cluster) -> list[str]:
    """Remove what killed runs have left of copies of what is in a namespace; returns what it was.

    What belongs to a run on another machine goes once it has expired. Labels and notes anybody may have written; names
    cannot be changed, so nothing is removed that is not called as we call it (issue 14).

    Raises:
        SopError: something stays.
    """
    left = dict.fromkeys(_left(cluster))
    for one in left:
        _remove(cluster.elsewhere(one.namespace) if one.namespace else cluster, one)
    return [f"rehearsal {one.run} in namespace {one.namespace or cluster.namespace}" for one in left]


def _namespace_of(run: str, namespace: str) -> str:
    """Return the name of a run's scratch namespace.

    Args:
        namespace: the release's.
    """
    return f"{namespace[:40].rstrip('-')}-rehearsal-{run}"


def _left(cluster: Cluster) -> Iterator[_Left]:
    """Yield what runs have made that are dead or have expired."""
    with suppress(Forbidden):
        for found in cluster.list("Namespace", f"{REHEARSAL},{OF}={cluster.namespace}"):
            name, run = str(found["metadata"]["name"]), _run(found)
            if _is_left(found) and _ID.fullmatch(run) and name == _namespace_of(run, cluster.namespace):
                yield _Left(run, name, str(found["metadata"]["uid"]))
    for kind in _KINDS:
        with suppress(Forbidden):
            yield from (_Left(_run(f)) for f in cluster.metadata(kind, REHEARSAL) if _is_left(f) and _is_named(f))


def _run(found: Object) -> str:
    return str(part(found, "metadata", "labels")[REHEARSAL])


def _is_left(found: Object) -> bool:
    """Tell whether a run has made something, as it has noted there, and is dead, or its time is over."""
    notes = part(found, "metadata", "annotations")
    by = str(notes.get(OWNER) or "")
    try:  # what the Job's or Deployment's controller has made has no such note, and goes with it
        expires = datetime.fromisoformat(str(notes.get(_EXPIRES)))
        return is_owner(by) and (is_dead(by) or expires < datetime.now(UTC))
    except (ValueError, TypeError):
        return False


def _is_named(found: Object) -> bool:
    """Tell whether an object is called as what its run makes beside a release."""
    name, run = str(found["metadata"]["name"]), _run(found)
    beginnings = tuple(f"{before}{_PREFIX}{run}-" for before in ("", HELPER))
    return _ID.fullmatch(run) is not None and name.startswith(beginnings)


def _remove(cluster: Cluster, left: _Left) -> None:
    if left.namespace:
        cluster.delete("Namespace", left.namespace, left.uid)
    else:
        for kind in _KINDS:
            for found in _of_run(cluster, kind, left.run):
                about = found["metadata"]
                cluster.delete(kind, about["name"], about["uid"], grace=0 if kind == "Pod" else None)
    wait(
        lambda: _there(cluster, left),
        what=f"the end of rehearsal {left.run}",
        timeout=GONE,
        next_step="pytest suites/cleanup removes what it has left",
    )


def _there(cluster: Cluster, left: _Left) -> str | None:
    if left.namespace:
        phase = cluster.namespace_phase()
        return f"namespace {left.namespace} is {phase}" if phase else None
    names = [f"{kind} {found['metadata']['name']}" for kind in _KINDS for found in _of_run(cluster, kind, left.run)]
    return ", ".join(names) or None


def _of_run(cluster: Cluster, kind: str, run: str) -> list[Object]:
    with suppress(Forbidden):
        return [found for found in cluster.metadata(kind, f"{REHEARSAL}={run}") if _is_named(found)]
    return []


def _labels_of(cluster: Cluster) -> Object:
    with suppress(ClusterError):
        return part(cluster.get("Namespace", cluster.namespace), "metadata", "labels")
    return {}
