"""What is done to a release before it is planned, and how a harm shows after the upgrade; all by kubectl and helm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.integration.plans.ground import Ground

MARKER = "this must never be lost"
CLAIM = "persistentvolumeclaim"


@dataclass(frozen=True)
class Seen:
    """What was there before the upgrade: UIDs, and the id of the image that ran; empty for what was not."""

    pod: str
    claim: str
    secret: str
    image: str

    @classmethod
    def of(cls, ground: Ground) -> Seen:
        uids = (ground.pod(), ground.find(CLAIM), ground.find("secret"))
        pod, claim, secret = (str(found.get("metadata", {}).get("uid", "")) for found in uids)
        return cls(pod, claim, secret, str(ground.container().get("imageID", "")))


Harm = Callable[[Ground, Seen], bool]
"""Whether the harm shows; it gets what was there before."""


def nothing(ground: Ground) -> None:
    """No preparation."""


def subdirectory(directory: Path, name: str) -> Path:
    """Make a directory in another."""
    made = directory / name
    made.mkdir()
    return made


def replaced(ground: Ground, before: Seen) -> bool:
    """The agent has one pod, and it is another."""
    pod = ground.pod()
    return bool(pod) and pod["metadata"]["uid"] != before.pod


def marker_gone(ground: Ground, before: Seen) -> bool:
    """The agent runs and does not see what it knew."""
    return (
        ground.runs()
        and replaced(ground, before)
        and "gone" in ground.shell(f"grep -qs '{MARKER}' marker || echo gone")
    )


def claim_gone(ground: Ground, before: Seen) -> bool:
    return ground.find(CLAIM).get("metadata", {}).get("uid") != before.claim


def never_runs(ground: Ground, before: Seen) -> bool:
    """The pod is another, and its container waits or has ended."""
    return replaced(ground, before) and not ground.runs() and bool(ground.reason())


def no_pod(ground: Ground, _: Seen) -> bool:
    return not ground.pods()


def pending(ground: Ground, before: Seen) -> bool:
    return replaced(ground, before) and ground.pod()["status"]["phase"] == "Pending"


def same_image(ground: Ground, before: Seen) -> bool:
    return ground.runs() and ground.container()["imageID"] == before.image


def in_config(text: str, *, there: bool = True) -> Harm:
    return lambda ground, _: bool(ground.config()) and (text in ground.config()) == there


def two_pods(ground: Ground, _: Seen) -> bool:
    return len(ground.pods()) > 1


def gone(kind: str, name: str) -> Harm:
    return lambda ground, _: not ground.find(kind, name)


def there(kind: str, name: str) -> Harm:
    return lambda ground, _: bool(ground.find(kind, name))


def delete_claim(ground: Ground) -> None:
    """Somebody deletes the claim of a running agent: it ends when the pod does."""
    ground.kubectl("delete", CLAIM, "openab-kiro", "--wait=false")


def renew_token(ground: Ground) -> None:
    """Somebody renews the token by hand."""
    ground.kubectl("patch", "secret", "openab-kiro", '--patch={"stringData": {"discord-bot-token": "renewed-by-hand"}}')


def make_more(ground: Ground) -> None:
    """Somebody else has an object of the name that a later chart wants."""
    ground.kubectl("create", "configmap", "openab-more")


def token_taken_back(ground: Ground, _: Seen) -> bool:
    return ground.find("secret")["data"]["discord-bot-token"] != "cmVuZXdlZC1ieS1oYW5k"


def label_claim(ground: Ground) -> None:
    labels = '{"metadata": {"labels": {"app.kubernetes.io/version": "by-hand"}}}'
    ground.kubectl("patch", CLAIM, "openab-kiro", f"--patch={labels}")


def label_lost(ground: Ground, _: Seen) -> bool:
    return ground.find(CLAIM)["metadata"]["labels"]["app.kubernetes.io/version"] == "0.8.2"


def delete_config(ground: Ground) -> None:
    ground.kubectl("delete", "configmap", "openab-kiro")


def own_instructions(ground: Ground) -> None:
    """The agent keeps a file where a later chart mounts one."""
    ground.shell("echo mine >CLAUDE.md")


def covered(ground: Ground, before: Seen) -> bool:
    return ground.runs() and replaced(ground, before) and "mine" not in ground.shell("cat CLAUDE.md")


def restrict(ground: Ground) -> None:
    """The namespace wants what the good chart gives: the restricted pod security standard."""
    ground.kubectl("label", "namespace", ground.namespace, "pod-security.kubernetes.io/enforce=restricted")


def limit(ground: Ground) -> None:
    """A quota that has room for the agent as it is."""
    ground.kubectl("create", "quota", "small", "--hard=requests.memory=100Mi")


def fail_once(ground: Ground) -> None:
    """An upgrade before this one has failed, and was left so."""
    assert ground.helm("upgrade", ground.world.harmful("claim-refused", subdirectory(ground.scratch, "failed")))


def failed_before(ground: Ground, _: Seen) -> bool:
    return "failed" in ground.world.helm(["history", "openab", "--namespace", ground.namespace])


def job_ran(ground: Ground, _: Seen) -> bool:
    return ground.find("job", "openab-before").get("status", {}).get("succeeded") == 1


def secret_lost(ground: Ground, before: Seen) -> bool:
    return ground.find("secret").get("metadata", {}).get("uid") != before.secret


def helm_uninstall_takes_the_claim(ground: Ground, _: Seen) -> bool:
    ground.world.helm(["uninstall", "openab", "--namespace", ground.namespace, "--ignore-not-found"])
    return not ground.find(CLAIM)


def runs_on(ground: Ground, before: Seen) -> bool:
    """The configuration is another one, and the pod is the old one."""
    return "[reactions]" not in ground.config() and ground.pod()["metadata"]["uid"] == before.pod


def cannot_write(ground: Ground, before: Seen) -> bool:
    return replaced(ground, before) and (
        not ground.runs() or "no" in ground.shell("touch written 2>/dev/null || echo no")
    )


def other_image(ground: Ground, _: Seen) -> bool:
    return ground.runs() and "openab-claude" in ground.container()["image"]


def still_unwell(ground: Ground, _: Seen) -> bool:
    return ground.container().get("restartCount", 0) > 0


def without_variable(ground: Ground, before: Seen) -> bool:
    return ground.runs() and replaced(ground, before) and "GH_HOST" not in ground.shell("env")


def other_home(ground: Ground, _: Seen) -> bool:
    return ground.runs() and ground.shell("echo $HOME").strip() == "/home/openab"


def other_chart(ground: Ground, _: Seen) -> bool:
    return "agent-broker" in ground.world.helm(["list", "--namespace", ground.namespace])


def made_elsewhere(ground: Ground, _: Seen) -> bool:
    """An object is in another namespace; it does not stay there after the look."""
    there = ("--namespace", "default", "configmap", ground.namespace, "--ignore-not-found")
    seen = ground.world.kubectl("get", *there, "--output=name")
    ground.world.kubectl("delete", *there)
    return bool(seen)


def may_read_secrets(ground: Ground, _: Seen) -> bool:
    """Every pod of the namespace may read its Secrets."""
    who = f"--as=system:serviceaccount:{ground.namespace}:default"
    return ground.kubectl("auth", "can-i", "get", "secrets", who).strip() == "yes"


def sees_the_node(ground: Ground, before: Seen) -> bool:
    """The agent sees the node's processes."""
    return replaced(ground, before) and ground.runs() and "kubelet" in ground.shell("cat /proc/[0-9]*/comm")
