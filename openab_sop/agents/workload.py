"""What runs pods: a Deployment or its like, rendered or live; what of it decides which data it finds and what it runs.

The one reader of such an object: defaults that Kubernetes fills in are filled in here, so that what a chart renders
and what is on the cluster can be compared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote

from openab_sop.agents.mount_environment import MountEnvironment, expression_of
from openab_sop.objects import Object, at, part, parts
from openab_sop.reference import is_floating
from openab_sop.upstream.charts import CONTAINERS

KINDS = ("Deployment", "StatefulSet", "DaemonSet")
"""What of a release keeps pods running."""
_POD = ("spec", "template", "spec")


@dataclass(frozen=True)
class Image:
    """An image that a container runs.

    Attributes:
        container: the container's name.
        reference: as the manifest names it.
        pull_policy: when kubelet pulls it, with Kubernetes' default where nothing is said.
    """

    container: str
    reference: str
    pull_policy: str


@dataclass(frozen=True)
class Mount:
    """A claim, or a part of it, in an agent's container.

    Attributes:
        path: where it is mounted, absolute.
        inside: which part of the claim it is, relative to it; an expression as it is written, if that is not known.
        is_known: whether the object itself says which part it is: a variable of a Secret's or a pod's own does not.
        unmet: the variables in its expression whose value no other pod can have, in words.
    """

    claim: str
    path: PurePosixPath
    inside: PurePosixPath
    read_only: bool = False
    is_known: bool = True
    unmet: str = ""


@dataclass(frozen=True)
class Workload:
    """A Deployment or another of ``KINDS``."""

    body: Object

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.body.get("kind") or "Deployment")

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.body["metadata"]["name"])

    @property
    def called(self) -> str:
        """What it is called beside others: a Deployment's name, of another kind such as "statefulset/db"."""
        return self.name if self.kind == "Deployment" else f"{self.kind.lower()}/{self.name}"

    @property
    def is_agent(self) -> bool:
        """Whether it is an agent and not a companion (SOP 1.2)."""
        return is_agent(self.body)

    @property
    def selector(self) -> str:
        """Label selector of its pods, as kubectl takes it."""
        return _selector(part(self.body, "spec", "selector"))

    def selects(self, labels: Object) -> bool:
        """Tell whether a pod with these labels is its own, by the part of its selector that names labels."""
        wanted = part(self.body, "spec", "selector", "matchLabels")
        return all(labels.get(key) == value for key, value in wanted.items())

    @property
    def component(self) -> str:
        """The key of the agent in the values, as the chart labels it; empty if it does not."""
        return str(part(self.body, "metadata", "labels").get("app.kubernetes.io/component") or "")

    @property
    def pod(self) -> Object:
        """The pod's spec."""
        return part(self.body, *_POD)

    @property
    def template(self) -> Object:
        """The whole template of its pods: a pod is replaced if this changes, and only then."""
        return part(self.body, "spec", "template")

    @property
    def containers(self) -> list[Object]:
        """Its containers, those that run before the others too."""
        return parts(self.pod, "initContainers") + parts(self.pod, "containers")

    @property
    def container(self) -> Object:
        """The agent's container, of a companion the first one."""
        every = parts(self.pod, "containers")
        return next((c for c in every if c.get("name") in CONTAINERS), every[0] if every else {})

    @property
    def image(self) -> str:
        """Reference of the image that the agent runs."""
        return str(self.container.get("image") or "")

    @property
    def pull_policy(self) -> str:
        """When kubelet pulls it."""
        return _pull_policy(self.container)

    @property
    def images(self) -> tuple[Image, ...]:
        """The images of all its containers."""
        named = (container for container in self.containers if container.get("image"))
        return tuple(Image(str(c.get("name")), str(c["image"]), _pull_policy(c)) for c in named)

    @property
    def replicas(self) -> int:
        """How many pods it wants; a DaemonSet that no controller has seen as it is, one."""
        if self.kind == "DaemonSet":
            status = part(self.body, "status")
            seen = status.get("observedGeneration", 0) >= (at(self.body, "metadata", "generation") or 1)
            return int(status.get("desiredNumberScheduled", 1)) if seen else 1
        said = at(self.body, "spec", "replicas")
        return 1 if said is None else int(said)

    @property
    def strategy(self) -> str:
        """How its pods are replaced, with Kubernetes' default where nothing is said."""
        return str(at(self.body, "spec", "strategy", "type") or "RollingUpdate")

    @property
    def variables(self) -> Mapping[str, Object]:
        """Variables of the agent's container by name."""
        return {str(entry["name"]): entry for entry in parts(self.container, "env")}

    @property
    def home(self) -> PurePosixPath | None:
        """HOME, else where its only claim is mounted; None if it cannot be told."""
        said = self.variables.get("HOME", {}).get("value")
        mounts = self.mounts
        if said:
            return PurePosixPath(str(said))
        return mounts[0].path if len({mount.path for mount in mounts}) == 1 else None

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """Where claims are in the agent's container."""
        return tuple(
            self._mount(mount) for mount in parts(self.container, "volumeMounts") if mount["name"] in self.claims
        )

    def _mount(self, mount: Object) -> Mount:
        expression = expression_of(mount)
        expanded = self.mount_environment.expanded(expression)
        return Mount(
            self.claims[mount["name"]],
            PurePosixPath(mount["mountPath"]),
            PurePosixPath(str(mount.get("subPath") or expanded or expression or ".")),
            bool(mount.get("readOnly")) or mount["name"] in self._read_only,
            expanded is not None,
            ", ".join(self.mount_environment.cannot_be_met(expression)),
        )

    @property
    def mount_environment(self) -> MountEnvironment:
        """The variables by which mounts of the agent's container name their part of a volume."""
        return MountEnvironment(self.container, self.template)

    def unmet(self, path: PurePosixPath) -> str:
        """Say why no other pod can mount what holds a path of the container; empty if one can."""
        nearest = self._nearest(path)
        if nearest is None or not nearest.unmet:
            return ""
        return (
            f"{nearest.path} is the part {nearest.inside} of claim {nearest.claim}, and each pod has a value of its "
            f"own for variable {nearest.unmet}"
        )

    def _nearest(self, path: PurePosixPath) -> Mount | None:
        holding = [mount for mount in self.mounts if path.is_relative_to(mount.path)]
        return max(holding, key=lambda mount: len(mount.path.parts), default=None)

    def where(self, path: PurePosixPath) -> tuple[str, PurePosixPath] | None:
        """Return the claim that holds a path of the container, and the path inside it; None if no claim does."""
        nearest = self._nearest(path)
        if nearest is None:
            return None
        return nearest.claim, nearest.inside / path.relative_to(nearest.path)

    @property
    def claim(self) -> str | None:
        """The claim that holds the home; None without persistence."""
        if self.home is None:
            return self.mounts[0].claim if self.mounts else None
        found = self.where(self.home)
        if found:
            return found[0]
        return next((mount.claim for mount in self.mounts if mount.path.is_relative_to(self.home)), None)

    def below(self, path: PurePosixPath) -> tuple[str, ...]:
        """Return where something else is mounted below a path of the container, relative to it.

        A part of the same claim that is mounted where it is in any case is nothing else.
        """
        here = self.where(path)
        same = {mount.path for mount in self.mounts if here and self._shows(here, path, mount)}
        mounts = (PurePosixPath(mount["mountPath"]) for mount in parts(self.container, "volumeMounts"))
        below = (mount for mount in mounts if mount.is_relative_to(path) and mount != path and mount not in same)
        return tuple(sorted(str(mount.relative_to(path)) for mount in below))

    @staticmethod
    def _shows(here: tuple[str, PurePosixPath], path: PurePosixPath, mount: Mount) -> bool:
        claim, inside = here
        return (
            mount.claim == claim
            and mount.path.is_relative_to(path)
            and inside / mount.path.relative_to(path) == mount.inside
        )

    def further(self) -> dict[str, Mount]:
        """Return the mounts that the agent writes to beside that of its home, by a name for each.

        What one of them, or the home's, holds already is not there twice.
        """
        return self._beside_home[0]

    def not_kept(self) -> tuple[Mount, ...]:
        """Return the mounts that the agent writes to and that cannot be taken for a volume of their own.

        That is what is known only when a pod starts (``subPathExpr``), what may be in such a part too, and what holds
        the home too.
        """
        return self._beside_home[1]

    @property
    def _beside_home(self) -> tuple[dict[str, Mount], tuple[Mount, ...]]:
        nearest = self._nearest(self.home) if self.home else None
        found: dict[str, Mount] = {}
        left: list[Mount] = []
        taken = [nearest] if nearest else []
        for mount in sorted(self.mounts, key=lambda mount: len(mount.inside.parts)):
            same = [other for other in taken if other.claim == mount.claim]
            if mount.read_only or any(mount.inside.is_relative_to(other.inside) for other in same):
                continue
            around = any(other.inside.is_relative_to(mount.inside) or not other.is_known for other in same)
            if around or not mount.is_known:
                left.append(mount)
                continue
            taken.append(mount)
            found[_named(mount)] = mount
        return found, tuple(left)

    @property
    def _read_only(self) -> set[str]:
        volumes = parts(self.pod, "volumes")
        return {volume["name"] for volume in volumes if at(volume, "persistentVolumeClaim", "readOnly")}

    @property
    def writers_at_start(self) -> tuple[str, ...]:
        """What may write to the agent's volumes at each start beside the agent: other containers, and its hook."""
        claims = {mount.claim for mount in self.mounts}
        found: list[str] = []
        for container in self.containers:
            name = str(container.get("name"))
            if container is self.container:
                found += [f"the postStart hook of {name}"] if at(container, "lifecycle", "postStart") else []
            elif any(self._may_write(mount, claims) for mount in parts(container, "volumeMounts")):
                found.append(f"container {name}")
        return tuple(found)

    def _may_write(self, mount: Object, claims: Collection[str]) -> bool:
        read_only = mount.get("readOnly") or mount["name"] in self._read_only
        return self.claims.get(mount["name"]) in claims and not read_only

    @property
    def covered(self) -> frozenset[str]:
        """Paths in the home, relative to it, where something that is no claim is mounted."""
        home = self.home
        if home is None:
            return frozenset()
        paths = [
            PurePosixPath(m["mountPath"]) for m in parts(self.container, "volumeMounts") if m["name"] not in self.claims
        ]
        return frozenset(str(path.relative_to(home)) for path in paths if path.is_relative_to(home) and path != home)

    @property
    def user(self) -> tuple[int | None, int | None]:
        """Uid that the agent runs as, and the group that kubelet gives its volume; None where the image decides."""
        pod, own = part(self.pod, "securityContext"), part(self.container, "securityContext")
        return own.get("runAsUser", pod.get("runAsUser")), pod.get("fsGroup")

    def references(self, kind: str) -> Iterator[tuple[str, str | None, str]]:
        """Yield what its pods cannot start without: name, key (None for the whole) and who needs it.

        Args:
            kind: "Secret" or "ConfigMap".
        """
        word = "secret" if kind == "Secret" else "configMap"
        for container in self.containers:
            for variable in parts(container, "env"):
                source = part(variable, "valueFrom", f"{word}KeyRef")
                if source and not source.get("optional"):
                    yield str(source["name"]), str(source["key"]), f"variable {variable['name']}"
            for origin in parts(container, "envFrom"):
                source = part(origin, f"{word}Ref")
                if source and not source.get("optional"):
                    yield str(source["name"]), None, "variables"
        for volume in parts(self.pod, "volumes"):
            for source in (volume, *parts(volume, "projected", "sources")):
                reference = part(source, word)
                if reference and not reference.get("optional"):
                    yield str(reference.get("secretName") or reference["name"]), None, f"volume {volume['name']}"

    @property
    def claims(self) -> Mapping[str, str]:
        """Every claim of its pods, by the name of the volume that it is there."""
        return claims_of(self.pod)


def volume_key(deployment: str, volume: str) -> str:
    """Return what names the data of an agent, also as a directory of a backup: of its home, or of a further volume."""
    return f"{deployment}/volumes/{volume}" if volume else deployment


def deployment_of(key: str) -> str:
    """Return whose data a ``volume_key`` names."""
    return key.partition("/")[0]


def in_home(inside: str, path: str) -> str:
    """Return a path on a volume as the agent's home has it, where the volume is mounted in there.

    Args:
        inside: where in the home; empty for the home's own volume, and for one that is elsewhere.
    """
    return f"{inside}/{path}" if inside else path


def _named(mount: Mount) -> str:
    """Name a volume: by its claim, and by the part of it, so that it can be a directory's and a URL's part too."""
    part_of_it = "" if str(mount.inside) == "." else "@" + quote(str(mount.inside), safe="").replace("%", "=")
    return f"{mount.claim}{part_of_it}"


def claims_of(pod: Object) -> dict[str, str]:
    """Return claim names by the names of a pod's volumes."""
    names = ((v["name"], at(v, "persistentVolumeClaim", "claimName")) for v in parts(pod, "volumes"))
    return {volume: claim for volume, claim in names if claim}


def is_agent(body: Object) -> bool:
    """Tell an agent, which is a Deployment, from a companion such as a gateway (SOP 1.2)."""
    names = (container.get("name") for container in parts(body, *_POD, "containers"))
    return Workload(body).kind == "Deployment" and any(name in CONTAINERS for name in names)


def _selector(selector: Object) -> str:
    terms = [f"{key}={value}" for key, value in part(selector, "matchLabels").items()]
    for expression in parts(selector, "matchExpressions"):
        key, values = expression["key"], ",".join(expression.get("values") or [])
        terms.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": key,
                "DoesNotExist": f"!{key}",
            }[expression["operator"]]
        )
    return ",".join(sorted(terms))


def _pull_policy(container: Object) -> str:
    said = container.get("imagePullPolicy")
    return str(said or ("Always" if is_floating(str(container.get("image") or "")) else "IfNotPresent"))
