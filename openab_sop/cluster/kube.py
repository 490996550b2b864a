"""The Kubernetes API, one method per call; the only module that knows the client library."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Any, TypeVar, cast
from urllib.parse import quote

import urllib3
from kubernetes import client, utils  # pyright: ignore[reportMissingTypeStubs]

from openab_sop import bounded, names
from openab_sop.cluster.kubeconfig import KubeConfig
from openab_sop.cluster.retry import NoRetry, RetryPolicy
from openab_sop.cluster.transport import Transport
from openab_sop.errors import Broken, ClusterError, Conflict, Forbidden, InvalidName, NotFound, Stalled, Unreachable
from openab_sop.escape import command
from openab_sop.objects import Object, at, part, parts
from openab_sop.redact import mask

T = TypeVar("T")
MANAGER = "openab-sop"
"""The field manager under which the API records our changes."""
OWNER = f"{MANAGER}/owner"
"""Annotation of what a run makes for its own use: which run that is."""
TRIES = 3
"""How often something is done whose line breaks."""
PAUSE = 1.0
"""Seconds before it is done again: what went with the line, such as a helper, is gone by then."""
TIMEOUT = (5, 30)
"""Seconds to connect and to answer."""
SOON = (5, 20)
"""The same before anything was changed: where nothing answers, that is to be told soon."""
_BUSY = 429
_FAILS = 500
"""Statuses that are no answer to what was asked: the server has too much to do, or (from this one on) is not well."""
_UNHEARD = re.compile(
    r"(?i)connection refused|no such host|no route to host|network is unreachable|dial tcp|no such file"
)
"""How Go says that a connection did not come about."""
_NO_SUCH_PATH = "404 page not found"
"""How the API says that it serves no such group: not as JSON."""
_OF_A_WEBHOOK = re.compile(r"failed calling webhook|denied the request|denied request|conversion webhook")
_OF_THE_OBJECT = re.compile(r"failed to create typed patch object|field not declared in schema")
"""How it refuses in server-side apply what is not of the kind's schema: with 500, as if it were not well itself."""
_FOR_GOOD = re.compile(r"getting credentials|x509:|tls: failed|unable to load|certificate")
"""How kubectl says that trying again is in vain."""
_HELM_CALLER = (
    "HELM_KUBEAPISERVER",
    "HELM_KUBEASGROUPS",
    "HELM_KUBEASUSER",
    "HELM_KUBECAFILE",
    "HELM_KUBEINSECURE_SKIP_TLS_VERIFY",
    "HELM_KUBETLS_SERVER_NAME",
    "HELM_KUBETOKEN",
)
"""What helm takes for its caller in place of the kubeconfig's, and kubectl does not (https://helm.sh/docs/helm/helm/)."""
MADE_SINCE = timedelta(seconds=60)
"""How far the cluster's clock may be behind ours: readiness lets that much pass."""
_QUANTITY = re.compile(r"[+-]?[0-9]{0,64}(?:\.[0-9]{0,64})?(?:[eE][+-]?[0-9]{1,2}|m|n|u|[kKMGTPE]i?)?")
LARGEST = Decimal(1 << 100)
"""Of an amount; the API itself caps one at 2^63 - 1 (k8s.io/apimachinery, ``pkg/api/resource``)."""
_ANY = "application/json, */*"
_METADATA = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
"""https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-metadata"""


@dataclass(frozen=True)
class Access:
    """One thing the caller may or may not do: ``get pods``, ``create pods/exec``, ``delete services/web``.

    Attributes:
        name: the object that it is done to; empty for all of the kind.
        in_namespace: whether it is done in the namespace; False for what no namespace holds.
    """

    verb: str
    resource: str
    group: str = ""
    in_namespace: bool = True
    name: str = ""

    def __str__(self) -> str:
        kind = f"{self.verb} {self.resource}" + (f".{self.group}" if self.group else "")
        return f"{kind} {self.name}" if self.name else kind


@dataclass(frozen=True)
class Served:
    """How the API serves a kind: its group (empty for the core), the resource's name, whether namespaces hold it."""

    group: str
    resource: str
    namespaced: bool


@dataclass(frozen=True)
class ApiResponse:
    """What the API server answered: the body, and its clock."""

    body: Object
    date: datetime


@dataclass(frozen=True)
class Cluster:
    """One cluster as one caller in one namespace.

    Attributes:
        retry: how long the API may be away; shared with whatever was made from this, as is ``api``.
        api: the client, by kubectl's own way to the API.

    Raises (every method that asks the API):
        NotFound, Forbidden: as the API says.
        ClusterError: it answered with another error.
        Unreachable: it did not answer for as long as it is retried.
        InvalidName: a name, or the namespace, is one that no object can have; nothing was asked.
    """

    access: KubeConfig
    retry: RetryPolicy = field(default_factory=RetryPolicy, repr=False, compare=False, kw_only=True)
    api: Any = field(default=None, repr=False, compare=False, kw_only=True)
    _kinds: dict[tuple[str, str], Served] = field(
        default_factory=dict[tuple[str, str], Served], init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if self.api is None:
            proxy = ("kubectl", "--context", self.access.context, "proxy", "--append-server-path")
            object.__setattr__(self, "api", _client(Transport(proxy, self.env)))

    @property
    def namespace(self) -> str:
        """The namespace that all of this happens in."""
        return self.access.namespace

    def elsewhere(self, namespace: str) -> Cluster:
        """Return the same cluster as the same caller, in another namespace."""
        return Cluster(replace(self.access, namespace=namespace), retry=self.retry, api=self.api)

    def watched(self) -> Cluster:
        """Return the same for who only looks on, and takes it down if the API does not answer."""
        return Cluster(self.access, retry=NoRetry(), api=self.api)

    @property
    def env(self) -> Mapping[str, str]:
        """What kubectl and helm need in their environment to reach the same cluster, as the same caller.

        Variables of the operator's own that would change what they do are overridden: another API server or user for
        helm alone, defaults for kubectl's options, and a limit on Helm's history, which would prune the revision that
        a rollback needs.
        """
        return {
            **dict.fromkeys(_HELM_CALLER, ""),
            "HELM_MAX_HISTORY": "0",
            "KUBERC": "off",
            "KUBECONFIG": self.access.joined,
            "HELM_NAMESPACE": self.namespace,
            "HELM_KUBECONTEXT": self.access.context,
        }

    def kubectl(self, *arguments: str) -> list[str]:
        """Return the argument list that runs kubectl against this cluster and namespace (with ``env``)."""
        return ["kubectl", "--context", self.access.context, "--namespace", self.namespace, *arguments]

    def again(self, act: Callable[[], T], on_break: Callable[[Broken], None] = lambda broken: None) -> T:
        """Do something once more if the line broke in the middle of it, when the API answers again.

        Args:
            act: leaves behind what its next try can go on from, as it has to for a run that is killed.
            on_break: gets each break that does not end it.

        Raises:
            Broken: the line broke ``TRIES`` times, or a stream stood still before anything was changed.
        """
        for left in reversed(range(TRIES)):
            try:
                return act()
            except Broken as broken:
                if not left or (isinstance(broken, Stalled) and not self.retry.begun):
                    raise
                on_break(broken)
                time.sleep(PAUSE)
                self.retry.renew()
                self.version()
        raise AssertionError("unreachable")

    def version(self) -> tuple[str, datetime]:
        """Return the server's version ("v1.36.3") and its clock (SOP 0.4, 0.5)."""
        answer = self._call("GET", "/version")
        return str(answer.body.get("gitVersion")), answer.date

    def clock(self) -> datetime:
        """Return the server's time, to the second."""
        return self.version()[1]

    def caller(self) -> str | None:
        """Return who the API takes us for (SelfSubjectReview, Kubernetes 1.28); None if it does not tell."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        with suppress(NotFound, Forbidden):
            answer = self._call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review).body
            return str(at(answer, "status", "userInfo", "username"))
        return None

    def identity(self) -> str:
        """Return what tells this cluster from all others, the first name of ``known_as``."""
        return self.known_as()[0]

    def known_as(self) -> tuple[str, ...]:
        """Return each name of this cluster that the caller may know: two callers have one in common (issue 13).

        They are the UID of kube-system, and the digest of the certificate authority, which is in every namespace and
        the same by whatever address the cluster is reached. Without both it is the server's address.
        """
        found: list[str] = []
        with suppress(Forbidden):
            found.append(str(self._call("GET", "/api/v1/namespaces/kube-system").body["metadata"]["uid"]))
        with suppress(Forbidden, NotFound):
            authority = str(at(self.get("ConfigMap", "kube-root-ca.crt"), "data", "ca.crt"))
            found.append(f"ca-{sha256(authority.encode()).hexdigest()[:32]}")
        return tuple(found) or (self.access.server,)

    def namespace_phase(self) -> str | None:
        """Return the namespace's phase, None if it is not there; to a caller who may not look at it, it is Active."""
        try:
            namespace = self._call("GET", f"/api/v1/namespaces/{names.in_path('Namespace', self.namespace)}").body
        except NotFound:
            return None
        except Forbidden:
            return "Active"
        return str(namespace["status"]["phase"])

    def allowed(self, access: Access) -> bool:
        """Ask the API whether the caller may do ``access`` in the namespace (SelfSubjectAccessReview, SOP 0.4)."""
        resource, _, subresource = access.resource.partition("/")
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {
                "resourceAttributes": {
                    "namespace": self.namespace if access.in_namespace else "",
                    "verb": access.verb,
                    "group": access.group,
                    "resource": resource,
                    "subresource": subresource,
                    "name": access.name,
                }
            },
        }
        answer = self._call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        return bool(answer.body["status"].get("allowed"))

    def get(self, kind: str, name: str) -> Object:
        """Return one object of the namespace; ``kind`` is a key of ``_PATHS``."""
        return self._call("GET", self._path_of(kind, name)).body

    def find(self, kind: str, name: str) -> Object | None:
        """Return one object of the namespace, None if it is not there."""
        with suppress(NotFound):
            return self.get(kind, name)
        return None

    def list(self, kind: str, selector: str) -> list[Object]:
        """Return the objects of the namespace that a label selector matches."""
        return parts(self._call("GET", self._path(kind), labelSelector=selector).body, "items")

    def metadata(self, kind: str, selector: str) -> list[Object]:
        """Return what a label selector matches as ``list`` does, of each object its metadata alone."""
        found = self._call("GET", self._path(kind), None, "application/json", _METADATA, labelSelector=selector)
        return parts(found.body, "items")

    def events(self, uid: str) -> list[Object]:
        """Return the events of the object with this UID."""
        return parts(self._call("GET", self._path("Event"), fieldSelector=f"involvedObject.uid={uid}").body, "items")

    def log(
        self, pod: str, container: str, *, limit: int, previous: bool = False, since: datetime | None = None
    ) -> str:
        """Return a piece of a container's log, each line behind its time.

        Args:
            limit: bytes at most; the rest is cut off, inside a line too.
            previous: the log of the run before the present one.
            since: begin with what was written in this second; None begins at the beginning.

        Raises:
            ClusterError: also if there is no log, because the container has not run.
        """
        query = {"container": container, "timestamps": "true", "limitBytes": str(limit)}
        if previous:
            query["previous"] = "true"
        if since:
            query["sinceTime"] = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        path = f"{self._path_of('Pod', pod)}/log"
        data, _ = self.retry.over(lambda: self._ask("GET", path, **query))
        return data.decode(errors="replace")

    def all(self, kind: str) -> list[Object]:
        """Return every object of a kind, of the namespace or of the cluster as the kind is."""
        return parts(self._call("GET", self._path(kind)).body, "items")

    def pods_on(self, node: str) -> list[Object]:
        """Return the pods of all namespaces that take room on a node: those that have not ended."""
        selector = f"spec.nodeName={node},status.phase!=Succeeded,status.phase!=Failed"
        return parts(self._call("GET", "/api/v1/pods", fieldSelector=selector).body, "items")

    def create(self, kind: str, body: Object) -> Object:
        """Create an object in the namespace; returns it as the API has it.

        Where a try may have been heard and the next one finds the name taken, the object that is there is ours if
        this run made it: a name that is made up, or a Lease with its holder. Others stay a conflict.

        Raises:
            Conflict: one of its name is there.
        """
        tried, begun = False, datetime.now(UTC) - MADE_SINCE

        def once() -> Object:
            nonlocal tried
            again, tried = tried, True
            try:
                return self._asked("POST", self._path(kind), body, fieldManager=MANAGER).body
            except Conflict:
                with suppress(NotFound, Forbidden):
                    there = self._asked("GET", self._path_of(kind, body["metadata"]["name"])).body
                    if again and _made_of(there, body, since=begun):
                        return there
                raise

        made = self.retry.over(once)
        self.retry.begun = True
        return made

    def delete(self, kind: str, name: str, uid: str, *, grace: int | None = None) -> None:
        """Delete an object of the namespace, waiting for nothing; one that is gone already is fine.

        Args:
            uid: which one: another that has taken its name since stays (issue 14).
            grace: seconds that a pod gets to end by itself; None leaves it to the pod.

        Raises:
            Conflict: it is still there, and the API does not delete it now.
        """
        # a Job's own default would leave its pods behind
        options: Object = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        try:
            self._call("DELETE", self._path_of(kind, name), {"apiVersion": "v1", "kind": "DeleteOptions", **options})
        except NotFound:
            return
        except Conflict:
            with suppress(Forbidden):  # who may not look waits for its end all the same
                there = self.find(kind, name)
                if there and there["metadata"]["uid"] == uid and not at(there, "metadata", "deletionTimestamp"):
                    raise

    def merge(self, kind: str, name: str, change: Object) -> Object:
        """Change an object by a JSON merge patch; a resourceVersion in it makes the patch conditional."""
        media = "application/merge-patch+json"
        return self._call("PATCH", self._path_of(kind, name), change, media, fieldManager=MANAGER).body

    def look_up(self, body: Object) -> Object:
        """Return the object that another one names by kind and name; it may be of any kind that the cluster serves."""
        return self._call("GET", self._place(body)).body

    def try_create(self, kind: str, body: Object) -> None:
        """Have the API judge an object as it would be created; nothing is stored (dryRun=All, SOP 3.1).

        Raises:
            ClusterError: the API would refuse it; Conflict: one of its name is there.
        """
        self._call("POST", self._path(kind), body, fieldManager=MANAGER, dryRun="All")

    def try_apply(self, body: Object, manager: str, *, force: bool) -> Object:
        """Have the API judge an object as server-side apply would send it; nothing is stored (dryRun=All, SOP 3.1).

        Returns:
            The object as it would be.

        Args:
            body: any object, of a kind that the cluster may or may not serve; it lands in its own namespace, else ours.
            manager: the field manager in whose name it is sent.
            force: whether fields that others own are taken over.

        Raises:
            ClusterError: the API would refuse it; Conflict: others own fields of it, NotFound: it has no such kind.
        """
        query = {"fieldManager": manager, "force": str(force).lower(), "dryRun": "All"}
        sent, media = json.dumps(body).encode(), "application/apply-patch+yaml"
        return self._call("PATCH", self._place(body), sent, media, **query).body

    def _place(self, body: Object) -> str:
        """Return the path at which the API keeps an object of any kind; what names it may come from anywhere."""
        names.check(body, "an object that the API is asked about")
        served = self.served(body)
        namespace = names.in_path("Namespace", body["metadata"].get("namespace") or self.namespace)
        where = f"/namespaces/{namespace}" if served.namespaced else ""
        collection = f"{_root(str(body['apiVersion']))}{where}/{quote(served.resource, safe='')}"
        return f"{collection}/{names.in_path(str(body['kind']), body['metadata']['name'])}"

    def served(self, body: Object) -> Served:
        """Return how the API serves an object's kind, as the API itself tells it; asked once a kind.

        Raises:
            NotFound: it does not. InvalidName: it names no version, or no kind.
        """
        key = version, kind = names.api_version(body.get("apiVersion")), names.kind(body.get("kind"))
        if key not in self._kinds:
            for found in parts(self._call("GET", _root(version)).body, "resources"):
                if "/" not in found["name"]:
                    group = version.rpartition("/")[0]
                    self._kinds[version, str(found["kind"])] = Served(group, str(found["name"]), found["namespaced"])
        if key not in self._kinds:
            raise NotFound(f"the cluster serves no {kind} of {version}", "choose a chart version for this cluster")
        return self._kinds[key]

    def wide(self, bodies: Iterable[Object]) -> Iterator[tuple[str, str]]:
        """Yield version and kind of those objects that no namespace holds; of what is not served, nothing is known."""
        for key in {(str(body.get("apiVersion")), str(body.get("kind"))) for body in bodies}:
            with suppress(NotFound, Forbidden, InvalidName):
                if not self.served({"apiVersion": key[0], "kind": key[1]}).namespaced:
                    yield key

    def _path(self, kind: str) -> str:
        """Return the path of a kind's objects."""
        return _PATHS[kind].format(namespace=names.in_path("Namespace", self.namespace))

    def _path_of(self, kind: str, name: str) -> str:
        """Return the path of an object; no name leads out of it, nor to all of its kind (issue 14)."""
        return f"{self._path(kind)}/{names.in_path(kind, name)}"

    def _call(
        self,
        method: str,
        path: str,
        body: Object | bytes | None = None,
        media: str = "application/json",
        accept: str = _ANY,
        /,
        **query: str,
    ) -> ApiResponse:
        """Ask until there is an answer, as long as it is retried."""
        stays = method != "GET" and "dryRun" not in query and not path.endswith("reviews")
        conditional = isinstance(body, dict) and at(body, "metadata", "resourceVersion") is not None
        answer = self.retry.over(
            lambda: self._asked(method, path, body, media, accept, **query), repeatable=not (stays and conditional)
        )
        self.retry.begun |= stays
        return answer

    def _asked(self, *request: Any, **query: str) -> ApiResponse:
        """Return the answer to one try; arguments as ``_ask`` has them."""
        data, date = self._ask(*request, **query)
        return ApiResponse(_parsed(data, self.access), date)

    def _ask(
        self,
        method: str,
        path: str,
        body: Object | bytes | None = None,
        media: str = "application/json",
        accept: str = _ANY,
        /,
        **query: str,
    ) -> tuple[bytes, datetime]:
        """Return the body of an answer to one try, and the server's clock."""
        try:
            request = self.api.param_serialize(
                method,
                path,
                query_params=list(query.items()),
                header_params={"Accept": accept, "Content-Type": media},
                body=body,
            )
            response = self.api.call_api(*request, _request_timeout=TIMEOUT if self.retry.begun else SOON)
            data = response.read()
        except (urllib3.exceptions.HTTPError, client.ApiException, OSError) as error:
            raise _unreachable(_reason(error), self.access) from error
        if not 200 <= response.status <= 299:
            raise _failure(response.status, data, f"{method} {path}", self.access, begun=self.retry.begun)
        date = response.headers.get("Date")
        return data, parsedate_to_datetime(date) if date else datetime.now(UTC)


_PATHS = {
    "Namespace": "/api/v1/namespaces",
    "PriorityClass": "/apis/scheduling.k8s.io/v1/priorityclasses",
    "RuntimeClass": "/apis/node.k8s.io/v1/runtimeclasses",
    "StorageClass": "/apis/storage.k8s.io/v1/storageclasses",
    "Pod": "/api/v1/namespaces/{namespace}/pods",
    "Secret": "/api/v1/namespaces/{namespace}/secrets",
    "ConfigMap": "/api/v1/namespaces/{namespace}/configmaps",
    "Node": "/api/v1/nodes",
    "PersistentVolume": "/api/v1/persistentvolumes",
    "PersistentVolumeClaim": "/api/v1/namespaces/{namespace}/persistentvolumeclaims",
    "Deployment": "/apis/apps/v1/namespaces/{namespace}/deployments",
    "VolumeSnapshot": "/apis/snapshot.storage.k8s.io/v1/namespaces/{namespace}/volumesnapshots",
    "VolumeSnapshotClass": "/apis/snapshot.storage.k8s.io/v1/volumesnapshotclasses",
    "Lease": "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases",
    "Event": "/api/v1/namespaces/{namespace}/events",
    "ResourceQuota": "/api/v1/namespaces/{namespace}/resourcequotas",
    "ServiceAccount": "/api/v1/namespaces/{namespace}/serviceaccounts",
    "Job": "/apis/batch/v1/namespaces/{namespace}/jobs",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies",
    "ReplicaSet": "/apis/apps/v1/namespaces/{namespace}/replicasets",
    "StatefulSet": "/apis/apps/v1/namespaces/{namespace}/statefulsets",
    "DaemonSet": "/apis/apps/v1/namespaces/{namespace}/daemonsets",
}


def _root(version: str) -> str:
    """Return where the API serves a group's version, such as "v1" or "apps/v1"."""
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def quantity(text: object) -> Decimal:
    """Return what the API writes as an amount: "250m" is 0.25, "1Gi" 1073741824.

    Raises:
        ClusterError: it is no amount.
    """
    try:
        if not _QUANTITY.fullmatch(str(text)):
            raise ValueError("it is not written as one")
        amount = Decimal(utils.parse_quantity(text))  # pyright: ignore[reportUnknownMemberType]
        if abs(amount) > LARGEST:
            raise ValueError("it is more than the API takes")
        return amount
    except (ValueError, ArithmeticError) as error:
        raise ClusterError(f"{str(text)[:40]!r} is no amount of a resource", "write it as 250m, 2 or 1Gi") from error


def _client(transport: Transport) -> Any:
    made: Any = client.ApiClient(client.Configuration(host="http://localhost"))
    made.rest_client.pool_manager = transport
    return made


def _made_of(there: Object, body: Object, *, since: datetime) -> bool:
    """Tell whether an object that is there is what we have just sent.

    The holder of a Lease and our own annotation tell whose it is; else that we have made it, since we first tried.
    """
    holder = at(body, "spec", "holderIdentity")
    if holder is not None:
        return at(there, "spec", "holderIdentity") == holder
    if (ours := part(body, "metadata", "annotations").get(OWNER)) is not None:
        return part(there, "metadata", "annotations").get(OWNER) == ours
    managers = [entry.get("manager") for entry in parts(there, "metadata", "managedFields")]
    made = str(at(there, "metadata", "creationTimestamp") or "")
    return managers[:1] == [MANAGER] and bool(made) and datetime.fromisoformat(made) >= since


def _unreachable(reason: str, access: KubeConfig) -> Unreachable:
    return Unreachable(
        f"context {access.context}: the cluster at {access.server} does not answer: {reason}",
        f"check it with: {command('kubectl', '--context', access.context, 'version')}",
        heard=not _UNHEARD.search(reason),
    )


def _failure(status: int, data: bytes, call: str, access: KubeConfig, *, begun: bool) -> ClusterError | Unreachable:
    """Return what an answer with a status that is no success means: a refusal, or none.

    Args:
        begun: whether this caller has changed something already: then it is known, and what says otherwise (a
            plugin, a server that has just started) is not well now.
    """
    said, by_api = _said(data)
    if not by_api and status == 404 and said != _NO_SUCH_PATH:  # what answers is something on the way
        return _unreachable(f"{call}: {said}", access)
    if not by_api and status >= _FAILS and _FOR_GOOD.search(said) and not begun:
        return ClusterError(
            f"kubectl cannot speak to the cluster at {access.server}: {said}",
            f"check it with: {command('kubectl', '--context', access.context, 'version')}",
        )
    # a webhook's word, the schema's, or kubelet's
    is_answer = by_api and (_OF_A_WEBHOOK.search(said) or _OF_THE_OBJECT.search(said) or call.endswith("/log"))
    if status == 401 and begun:
        return _unreachable(f"{call}: {said}", access)
    if status == _BUSY or (status >= _FAILS and not is_answer):
        return _unreachable(said if not by_api else f"{call}: status {status}: {said}", access)
    return _refusal(status, said, call, access)


def _refusal(status: int, said: str, call: str, access: KubeConfig) -> ClusterError:
    if status == 404:
        return NotFound(f"{call}: {said}", "check the namespace and the name")
    if status == 409:
        return Conflict(f"{call}: {said}", "run again")
    if status == 401:
        return ClusterError(
            f"the cluster at {access.server} does not know the caller of context {access.context}: {said}",
            "log in again, or choose another context with --context=NAME",
        )
    if status == 403 or (status == 422 and "denied request" in said):  # so a ValidatingAdmissionPolicy refuses
        return Forbidden(f"{call} is forbidden: {said}", _way_around(said, access))
    return ClusterError(f"{call} failed with status {status}: {said}", "check the cluster, then run again")


def _way_around(said: str, access: KubeConfig) -> str:
    """Tell what to do about a 403: quota, admission and access control all answer with one (SOP 0.4)."""
    if " cannot " in said and "resource" in said:
        return "ask for this right, or choose another context with --context=NAME"
    if "quota" in said:
        describe = command("kubectl", "--context", access.context, "-n", access.namespace, "describe", "quota")
        return f"make room in the quota, or raise it: {describe}"
    return "the cluster's admission refuses it, whoever asks: change what it names, or the rule"


def _parsed(body: bytes, access: KubeConfig) -> Object:
    """Read an answer; what answers at the address may be anything."""
    try:
        parsed: object = bounded.load_json(body, "the answer")
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise ClusterError(
            f"context {access.context}: {access.server} does not answer as a Kubernetes API does",
            f"check the address in the kubeconfig: {command('kubectl', '--context', access.context, 'cluster-info')}",
        )
    return cast(Object, parsed)


def _said(body: bytes) -> tuple[str, bool]:
    """Return what an answer says, and whether the API itself says it: something on the way has other words."""
    try:
        return mask(str(bounded.load_json(body, "the answer")["message"])), True
    except (ValueError, KeyError, TypeError):  # also what is no JSON within bounds
        return mask(body.decode(errors="replace").strip())[:500], False


def _reason(error: BaseException) -> str:
    """Return the innermost reason: urllib3 wraps the one that matters into three others."""
    cause = getattr(error, "reason", None)
    return _reason(cause) if isinstance(cause, BaseException) else mask(str(error))
