"""What the other tests rely on: egress that is denied is denied, and nothing else is."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sandbox import Sandbox, Status
from sandbox.command import run
from sandbox.wait import until
from tests.integration.conftest import new_namespace
from tests.integration.egress import Denial, denied
from world import World
from world.versions import IMAGE_PREFIX

PORT = 8000
GREETS = f"""
$l = IO::Socket::INET->new(LocalPort => {PORT}, Listen => 9, ReuseAddr => 1) or die;
while ($c = $l->accept) {{ print $c "hello"; close $c }}
"""
"""A pod that answers whoever calls, in Perl."""


@dataclass(frozen=True)
class Outside:
    """Listens on the node's address, for TCP and UDP; notes when somebody connected."""

    tcp: socket.socket
    udp: socket.socket
    calls: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])

    @property
    def address(self) -> str:
        """Of the node."""
        return self.tcp.getsockname()[0]

    def calls_of(self, address: str) -> list[float]:
        """When a pod connected."""
        return [at for at, caller in self.calls if caller == address]

    def accept(self) -> None:
        """Note who calls, until the socket is shut down."""
        while True:
            try:
                connection, (caller, _) = self.tcp.accept()
            except OSError:
                return
            self.calls.append((time.time(), caller))
            connection.close()


@dataclass(frozen=True)
class Stage:
    """A namespace with the pods `kept`, which the policy selects, and `free`, which it does not; both greet."""

    world: World
    namespace: str
    outside: Outside
    files: Path

    def start(self, pod: str, *command: str, policed: bool) -> None:
        """Start a pod of the stand-in's image."""
        image, labels = f"--image={IMAGE_PREFIX}/openab:0.8.1", f"--labels=policed={policed}".lower()
        self.kubectl("run", pod, image, "--image-pull-policy=Never", labels, "--command", "--", "tini", "--", *command)

    def address(self, pod: str) -> str:
        """The pod's address, once it has one."""
        self.kubectl("wait", "--for=jsonpath={.status.podIP}", f"pod/{pod}", "--timeout=30s")
        return self.kubectl("get", "pod", pod, "--output=jsonpath={.status.podIP}")

    def calls(self, pod: str, address: str, port: int) -> bool:
        """Whether the pod can open a TCP connection."""
        call = f"timeout 1 bash -c 'exec 3<>/dev/tcp/{address}/{port}' && echo open || echo shut"
        answer = self.kubectl("exec", pod, "--", "bash", "-c", call).strip()
        assert answer in ("open", "shut")
        return answer == "open"

    def calls_outside(self, pod: str) -> bool:
        """Whether the pod reaches the node's address, by TCP and UDP alike."""
        tcp = self.calls(pod, self.outside.address, self.outside.tcp.getsockname()[1])
        udp = self.sends_outside(pod)
        assert tcp == udp
        return tcp

    def sends_outside(self, pod: str) -> bool:
        """Whether a datagram of the pod arrives."""
        send = f"echo {pod} > /dev/udp/{self.outside.address}/{self.outside.udp.getsockname()[1]}"
        self.kubectl("exec", pod, "--", "bash", "-c", send)
        try:
            return self.outside.udp.recv(99).decode().strip() == pod
        except TimeoutError:
            return False

    def greets(self, pod: str) -> bool:
        """Whether the pod answers who calls it."""
        with socket.create_connection((self.address(pod), PORT), timeout=5) as connection:
            return connection.recv(99) == b"hello"

    @contextmanager
    def policy(self, **spec: object) -> Generator[None]:
        """A policy for the pods that are policed; gone afterwards."""
        file = self.files / "policy.json"
        selecting = {"podSelector": {"matchLabels": {"policed": "true"}}, "policyTypes": ["Egress"], **spec}
        kind = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
        file.write_text(json.dumps({**kind, "metadata": {"name": "quiet"}, "spec": selecting}))
        self.kubectl("create", f"--filename={file}")
        try:
            yield
        finally:
            self.kubectl("delete", "networkpolicy", "quiet")

    def kubectl(self, *arguments: object) -> str:
        """kubectl in this namespace."""
        return self.world.kubectl("--namespace", self.namespace, *arguments)


@pytest.fixture(scope="module")
def outside(status: Status) -> Iterator[Outside]:
    """Somebody outside the cluster."""
    tcp, udp = socket.create_server((status.address, 0)), socket.socket(type=socket.SOCK_DGRAM)
    with closing(tcp), closing(udp):
        udp.bind((status.address, 0))
        udp.settimeout(1)
        made = Outside(tcp, udp)
        thread = threading.Thread(target=made.accept)
        thread.start()
        yield made
        tcp.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture(scope="module")
def stage(world: World, outside: Outside, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Two pods that greet."""
    with new_namespace(world) as namespace:
        made = Stage(world, namespace, outside, tmp_path_factory.mktemp("egress"))
        for pod in ("kept", "free"):
            made.start(pod, "perl", "-MIO::Socket::INET", "-e", GREETS, policed=pod == "kept")
        made.kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=30s")
        yield made


def wait_for(denials: list[Denial], *pods: str) -> None:
    """Return when all these are denied."""
    until(
        f"the denial of {pods}",
        lambda: {denial.pod for denial in denials} >= set(pods),
        timeout=10,
        next_step="see whether the engine failed",
    )


def policed_links() -> list[str]:
    """The links on the host that something is denied at."""
    return [qdisc["dev"] for qdisc in json.loads(run(["tc", "-json", "qdisc", "show"])) if qdisc["kind"] == "clsact"]


def test_a_policed_pod_opens_no_connection_and_every_other_does(box: Sandbox, stage: Stage) -> None:
    with stage.policy():
        assert (stage.calls_outside("kept"), stage.calls_outside("free")) == (True, True)  # nobody enforces it yet
        assert stage.calls("kept", stage.address("free"), PORT)
        with denied(box, stage.namespace) as denials:
            wait_for(denials, "kept")
            assert (stage.calls_outside("kept"), stage.calls_outside("free")) == (False, True)
            assert not stage.calls("kept", stage.address("free"), PORT)
            assert stage.calls("free", stage.address("kept"), PORT)
            assert (stage.greets("kept"), stage.greets("free")) == (True, True)
        assert [denial.pod for denial in denials] == ["kept"]
        assert denials[0].device not in policed_links()
        assert stage.calls_outside("kept")


def test_what_was_denied_is_allowed_when_the_policy_goes(box: Sandbox, stage: Stage) -> None:
    with denied(box, stage.namespace) as denials:
        with stage.policy(podSelector={"matchExpressions": [{"key": "policed", "operator": "Exists"}]}):
            wait_for(denials, "kept", "free")
            assert (stage.calls_outside("kept"), stage.calls_outside("free")) == (False, False)
        until("the end of it", lambda: stage.calls_outside("kept"), timeout=10, next_step="tc qdisc show")
        assert stage.calls_outside("free")


def test_a_block_that_fails_leaves_nothing_denied(box: Sandbox, stage: Stage) -> None:
    devices: list[str] = []
    with pytest.raises(ZeroDivisionError), stage.policy(), denied(box, stage.namespace) as denials:
        wait_for(denials, "kept")
        devices = [denial.device for denial in denials]
        assert set(devices) <= set(policed_links())
        raise ZeroDivisionError
    assert devices and not set(devices) & set(policed_links())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("egress")]


OTHER: list[dict[str, object]] = [
    {"policyTypes": ["Ingress"]},
    {"egress": [{}]},
    {"podSelector": {"matchLabels": {"policed": "other"}}},
    {"podSelector": {"matchExpressions": [{"key": "policed", "operator": "In", "values": ["a", "b"]}]}},
    {"podSelector": {"matchExpressions": [{"key": "policed", "operator": "DoesNotExist"}]}},
]


@pytest.mark.parametrize("spec", OTHER)
def test_a_policy_that_is_about_something_else_denies_nothing(
    box: Sandbox, stage: Stage, spec: dict[str, object]
) -> None:
    with stage.policy(**spec), denied(box, stage.namespace) as denials:
        time.sleep(0.5)  # ten looks
        assert (stage.calls_outside("kept"), denials) == (True, [])


def test_a_namespace_without_the_prefix_is_left_alone(box: Sandbox, stage: Stage) -> None:
    with stage.policy(), denied(box, f"{stage.namespace}-") as denials:
        time.sleep(0.5)
        assert (stage.calls_outside("kept"), denials) == (True, [])


@pytest.mark.parametrize("late", [0, 3])
def test_a_pod_that_calls_without_end_is_denied_soon_after_it_has_an_address(
    box: Sandbox, stage: Stage, late: float
) -> None:
    """At once, it never gets through; by an engine that is late, it does until then, and no longer."""
    pod, port = f"caller-{late}", stage.outside.tcp.getsockname()[1]
    call = f"while :; do timeout 0.1 bash -c 'exec 3<>/dev/tcp/{stage.outside.address}/{port}'; sleep 0.02; done"
    with stage.policy(), denied(box, stage.namespace, late=late) as denials:
        stage.start(pod, "bash", "-c", call, policed=True)
        address = stage.address(pod)
        wait_for(denials, pod)
        (denial,) = (denial for denial in denials if denial.pod == pod)
        print(f"denied {denial.after:.3f} s after its link was made")
        ended = time.time()
        assert late <= denial.after < late + 0.5  # 0.1 on a machine with nothing else to do
        time.sleep(1)
        calls = stage.outside.calls_of(address)
        assert bool(calls) == bool(late)
        assert all(at <= ended for at in calls)
        stage.kubectl("delete", "pod", pod, "--now")
