"""Plans to judge: a release of one agent as it is, and as a target would have it, each with what a case changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from openab_sop.objects import Object
from openab_sop.plans import rules
from openab_sop.plans.plan import Key, Plan, PlannedChart
from openab_sop.releases.manifest import ManifestObject, ReleaseManifest
from openab_sop.rule import RuleFinding
from openab_sop.targets.version import Version

Side = tuple[Object, ...]
"""The objects of one side of a plan."""

AGENT = "rel-kiro"
HOME = "/home/agent"
TOKEN = "DISCORD_BOT_TOKEN"
CONFIG = f'[discord]\nbot_token = "${{{TOKEN}}}"\n[pool]\nmax = 4\n'
KEEP = {"helm.sh/resource-policy": "keep"}
CLAIM, DEPLOYMENT = ("PersistentVolumeClaim", AGENT), ("Deployment", AGENT)


def thing(kind: str, name: str = AGENT, *, annotations: Mapping[str, str] | None = None, **body: Any) -> Object:
    """Any object."""
    metadata = {"name": name, **({"annotations": dict(annotations)} if annotations else {})}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **body}


def claim(name: str = AGENT, *, keep: bool = False, size: str = "1Gi", storage: str | None = "fast") -> Object:
    """A PersistentVolumeClaim."""
    spec = {"resources": {"requests": {"storage": size}}, "storageClassName": storage}
    return thing("PersistentVolumeClaim", name, annotations=KEEP if keep else None, spec=spec)


def config(text: str = CONFIG, name: str = AGENT) -> Object:
    """The ConfigMap of an agent."""
    return thing("ConfigMap", name, data={"config.toml": text})


def secret(name: str = AGENT, *, keep: bool = False, **data: str) -> Object:
    """A Secret; values stand as the API has them."""
    return thing("Secret", name, annotations=KEEP if keep else None, data=data or {"token": "c2VjcmV0"})


def hook(when: str, command: str, kind: str = "Job", name: str = "migrate") -> Object:
    """Something that a chart runs by itself."""
    pod = {"containers": [{"name": "it", "command": ["sh", "-c", command]}]}
    spec = {"template": {"spec": pod}} if kind == "Job" else pod
    return thing(kind, name, annotations={"helm.sh/hook": when}, spec=spec)


def variable(name: str, source: str = AGENT, key: str = "token", **more: Any) -> Object:
    """A variable that comes from a Secret."""
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": source, "key": key, **more}}}


def deployment(
    name: str = AGENT,
    *,
    image: str = "ghcr.io/openabdev/openab:0.8.1",
    component: str = "kiro",
    container: str = "openab",
    home: str | None = HOME,
    mounts: Sequence[tuple[str, str] | tuple[str, str, str]] = ((HOME, ""),),
    covers: Sequence[str] = (),
    env: Sequence[Object] = (),
    token: Object | None = None,
    configured: str = AGENT,
    strategy: str | None = "Recreate",
    replicas: int = 1,
    selector: str = "kiro",
    annotations: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
    pod: Mapping[str, Any] | None = None,
) -> Object:
    """A Deployment.

    Args:
        mounts: path, part of the claim, and the claim if it is no agent's own.
        covers: where a ConfigMap's file is mounted.
        token: the variable of the token; {} for none.
        more, pod: added to the container and to the pod's spec.
    """
    where = [(path, inside, *(rest or (AGENT,))) for path, inside, *rest in mounts]
    volumes = [{"name": of, "persistentVolumeClaim": {"claimName": of}} for of in dict.fromkeys(w[2] for w in where)]
    maps = [{"name": "config", "configMap": {"name": configured}}]
    variables = [{"name": "HOME", "value": home}] if home else []
    given = variable(TOKEN) if token is None else token
    own = {
        "name": container,
        "image": image,
        "env": [*variables, *([given] if given else []), *env],
        "volumeMounts": [
            *({"name": of, "mountPath": path, **({"subPath": inside} if inside else {})} for path, inside, of in where),
            {"name": "config", "mountPath": "/etc/openab"},
            *({"name": "config", "mountPath": path, "subPath": "x"} for path in covers),
        ],
        **(more or {}),
    }
    template = {
        "metadata": {"labels": {"app": selector}, "annotations": dict(annotations or {})},
        "spec": {"containers": [own], "volumes": [*volumes, *maps], **(pod or {})},
    }
    body = thing(
        "Deployment",
        name,
        spec={
            "replicas": replicas,
            "selector": {"matchLabels": {"app": selector}},
            "template": template,
            **({"strategy": {"type": strategy}} if strategy else {}),
        },
    )
    body["metadata"]["labels"] = {"app.kubernetes.io/component": component} if component else {}
    return body


def now(
    *others: Object, pvc: Object | None = None, text: str = CONFIG, keys: Object | None = None, **tweaks: Any
) -> Side:
    """The release of one agent as it runs.

    Args:
        others: objects beside the agent's own.
        pvc: its claim; {} for none in the chart.
        keys: its Secret; {} for none in the chart.
        tweaks: of its Deployment.
    """
    own = (claim() if pvc is None else pvc, config(text, tweaks.get("configured", AGENT)))
    whole = (*own, secret() if keys is None else keys, deployment(**tweaks), *others)
    return tuple(body for body in whole if body)


def then(*others: Object, **tweaks: Any) -> Side:
    """The same, of the next version."""
    given: dict[str, Any] = {"image": "ghcr.io/openabdev/openab:0.8.2", **tweaks}
    return now(*others, **given)


def drawn(
    before: Side | None = None,
    after: Side | None = None,
    *,
    live: Sequence[Object] = (),
    gone: Sequence[Key] = (),
    hooks: Side = (),
    restored: Sequence[Object] = (),
    versions: tuple[str, str] = ("0.8.1", "0.8.2"),
    charts: tuple[str, str] = ("openab", "openab"),
    **facts: Any,
) -> Plan:
    """A plan; what is live is what Helm recorded, but for ``live`` (put in its place) and ``gone``."""
    old, new = now() if before is None else before, then() if after is None else after
    there = _keyed(old) | _keyed(live)
    current, target = (
        PlannedChart(name, Version.parse(text), text) for name, text in zip(charts, versions, strict=True)
    )
    given: dict[str, Any] = {"status": "deployed", "values": {}, **facts}
    return Plan(
        release="rel",
        namespace="chat",
        current=current,
        target=target,
        before=_manifest(old),
        after=_manifest(new),
        hooks=_manifest(hooks),
        live={key: body for key, body in there.items() if key not in gone},
        restored=_keyed(restored),
        **given,
    )


def told(plan: Plan) -> list[str]:
    """Return the ids of everything that any rule finds: a case that names them all tells false alarms too."""
    every = [rule for subject in rules.SUBJECTS.values() for rule in subject]
    return [RuleFinding(rule, finding).id for rule in every for finding in rule.judge(plan)]


def _keyed(bodies: Sequence[Object]) -> dict[Key, Object]:
    return {(body["kind"], body["metadata"]["name"]): body for body in bodies}


def _manifest(side: Side) -> ReleaseManifest:
    return ReleaseManifest(tuple(ManifestObject(body["kind"], body["metadata"]["name"], body) for body in side))
