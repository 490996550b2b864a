"""Denies pods' egress on the sandbox, whose network enforces no NetworkPolicy, as an engine for such policies would.

Only for policies that allow nothing out. Answers to those who call the pod still leave it, as the API promises:
https://kubernetes.io/docs/concepts/services-networking/network-policies/
One thing is stricter than there: a pod does not reach its own node either, because on the sandbox everything that
tests listen on is at the node's address.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, cast

from kubernetes import config  # pyright: ignore[reportMissingTypeStubs]

from sandbox import Sandbox, SandboxError
from sandbox.command import run

INTERVAL = 0.05
"""Seconds between two looks at policies, pods and links."""
API_TIMEOUT = 10

_OPENING = (
    "40 0 0 12",  # the frame's protocol:
    "21 10 0 34525",  # IPv6, that pods have no address for but the link's own: drop
    "21 0 8 2048",  # neither IPv4, so ARP: pass
    "48 0 0 23",  # the packet's protocol:
    "21 0 7 6",  # not TCP: drop
    "40 0 0 20",
    "69 4 0 8191",  # a fragment, but not the first: pass, there is no header in it
    "177 0 0 14",  # X is the length of the IP header
    "80 0 0 27",  # TCP's flags:
    "84 0 0 18",
    "21 1 0 2",  # SYN without ACK: drop
    "6 0 0 4294967295",  # pass: TC_ACT_UNSPEC
    "6 0 0 2",  # drop: TC_ACT_SHOT
)
"""What a pod says unasked, as a classic BPF program: few kernels are without it, while some lack tc's own matches."""


@dataclass(frozen=True)
class Denial:
    """A pod that was denied: at `device`, the host's end of its link, `after` seconds from when that was made."""

    namespace: str
    pod: str
    device: str
    after: float


@contextmanager
def denied(box: Sandbox, prefix: str, *, late: float = 0) -> Generator[list[Denial]]:
    """Enforce the policies that allow no egress in namespaces of this prefix; give over what was denied so far.

    A pod is denied within about 100 ms of its link's making, which is before its containers start; `late` seconds
    after it, as by an engine that waits for the API to tell the pod's address. Raises (at the end) SandboxError
    if the machine cannot do it.
    """
    engine = _Engine(box.status().state, prefix, late)
    with ThreadPoolExecutor(1, "egress") as thread:
        running = thread.submit(engine.run)
        try:
            yield engine.denials
        finally:  # also when the block failed: perhaps it did because the engine had
            engine.ending.set()
            running.result()


@dataclass(frozen=True)
class _Link:
    namespace: str
    pod: str
    device: str
    made_at: float


@dataclass
class _Engine:
    state: Path
    prefix: str
    late: float
    denials: list[Denial] = field(default_factory=list[Denial])
    ending: Event = field(default_factory=Event)
    _denied: dict[str, _Link] = field(default_factory=dict[str, _Link])

    def run(self) -> None:
        """Enforce until `ending`; leave nothing denied."""
        connect = cast(Any, config.new_client_from_config)  # pyright: ignore[reportUnknownMemberType]
        api = connect(config_file=str(self.state / "kubeconfig"), persist_config=False)
        try:
            while not self.ending.is_set():
                self._enforce(api)
                self.ending.wait(INTERVAL)
        finally:
            api.close()
            for device in self._denied:
                _tc("qdisc", device, "delete", "clsact")

    def _enforce(self, api: Any) -> None:
        policies = [
            policy
            for policy in _items(api, "/apis/networking.k8s.io/v1/networkpolicies")
            if policy["metadata"]["namespace"].startswith(self.prefix) and _denies(policy["spec"])
        ]
        governed = {policy["metadata"]["namespace"] for policy in policies}
        for device, link in list(self._denied.items()):
            if link.namespace not in governed:  # as long as there is one, a deleted pod may run on for a moment
                _tc("qdisc", device, "delete", "clsact")
                del self._denied[device]
        selected = {(pod["metadata"]["namespace"], pod["metadata"]["name"]) for p in policies for pod in _pods(api, p)}
        for link in self._links() if selected else ():
            due = time.time() >= link.made_at + self.late
            if due and link.device not in self._denied and (link.namespace, link.pod) in selected:
                self._deny(link)

    def _deny(self, link: _Link) -> None:
        self._denied[link.device] = link  # first: if the second command fails, the first is taken back
        _tc("qdisc", link.device, "add", "clsact")
        program = f"{len(_OPENING)},{','.join(_OPENING)}"
        _tc("filter", link.device, "add", "ingress", "protocol", "all", "bpf", "direct-action", "bytecode", program)
        self.denials.append(Denial(link.namespace, link.pod, link.device, time.time() - link.made_at))

    def _links(self) -> Iterator[_Link]:
        """The pods' links, as the node's CNI library keeps them: it knows them a second before the API does."""
        for file in (self.state / "var-lib-cni" / "results").glob("*-eth0"):
            try:
                made_at, cached = file.stat().st_mtime, json.loads(file.read_text())
            except (FileNotFoundError, json.JSONDecodeError):  # the pod is ending, or the file being written
                continue
            pod = dict(cached["cniArgs"])
            ours = [end["name"] for end in cached["result"]["interfaces"] if not end.get("sandbox")]
            yield from (_Link(pod["K8S_POD_NAMESPACE"], pod["K8S_POD_NAME"], device, made_at) for device in ours)


def _denies(spec: dict[str, Any]) -> bool:
    return "Egress" in spec["policyTypes"] and not spec.get("egress")


def _pods(api: Any, policy: dict[str, Any]) -> list[dict[str, Any]]:
    path = f"/api/v1/namespaces/{policy['metadata']['namespace']}/pods"
    return _items(api, path, labelSelector=_selector(policy["spec"].get("podSelector") or {}))


def _selector(selector: dict[str, Any]) -> str:
    """A policy's selector as the API takes it in a query."""
    terms = [f"{key}={value}" for key, value in selector.get("matchLabels", {}).items()]
    for term in selector.get("matchExpressions", []):
        key, values = term["key"], ",".join(term.get("values", []))
        forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        terms.append(forms.get(term["operator"], f"!{key}"))
    return ",".join(terms)


def _items(api: Any, path: str, **query: str) -> list[dict[str, Any]]:
    request = api.param_serialize("GET", path, query_params=list(query.items()), auth_settings=["BearerToken"])
    response = api.call_api(*request, _request_timeout=API_TIMEOUT)
    data = response.read()
    if response.status != 200:
        raise SandboxError(f"GET {path}: status {response.status}", "`python -m sandbox status`")
    return json.loads(data)["items"]


def _tc(what: str, device: str, action: str, *words: str) -> None:
    try:
        run(["tc", what, action, "dev", device, *words])
    except SandboxError:
        if Path("/sys/class/net", device).exists():  # else the pod has ended, and its link with it
            raise
