"""Whether an image reference still means the image that ran before: a tag can be moved meanwhile (SOP 4.2, 4.4).

Pure: ids as kubelet reports them, and what nodes list of their images. An id is a registry's digest
(``NAME@sha256:...``) or the node's own (``sha256:...``, of the image's configuration). Only ids of one kind can be
compared; what is not known stays unknown.

Sources: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#ContainerStatus (``imageID``);
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1/#NodeStatus (``images``: at most 50
of them unless ``nodeStatusMaxImages`` says otherwise)
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from openab_sop.escape import command
from openab_sop.reference import repository, tag
from openab_sop.verdict import Finding

RULE = "image-moved"
"""The id of the finding, as it is accepted."""
NodeImages = Mapping[str, Collection[frozenset[str]]]
"""By node, the names of each image that it lists; it lists only some."""
_DIGEST = re.compile(r"[a-z0-9]+:[0-9a-f]{32,}")
_BARE = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class MovedImage:
    """An agent whose old image reference means another image than the one that it ran before the upgrade.

    Attributes:
        agent: its Deployment.
        reference: as the old version's manifest has it.
        before, now: the ids.
        holders: nodes that list the image of before by its digest.
    """

    agent: str
    reference: str
    before: str
    now: str
    holders: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """What ``--accept`` takes."""
        return f"{RULE}:{self.agent}"

    @property
    def remedy(self) -> str:
        """How the agent comes to run the image of before."""
        before = _plain(self.before)
        if self.holders:
            name = f"{repository(before)}:{tag(self.reference) or 'latest'}"
            retag = command("ctr", "--namespace=k8s.io", "images", "tag", "--force", before, name)
            return (
                f"node {', '.join(self.holders)} still has the old image: run there: {retag}; or, once the release is "
                f"back, name it in its values: image: {before}"
            )
        if "@" in before:
            return (
                f"move the tag back to {before}; or, once the release is back, name it in its values: image: {before}"
            )
        return f"move the tag on the node back to the image with id {before}: crictl images --no-trunc shows it"

    @property
    def before_stop(self) -> Finding:
        """What stops a rollback by hand while the agents still run."""
        return self._finding(f"{self.reference} means {self.now} now", f"{self.remedy}; then run again")

    def after_start(self, restart: str) -> Finding:
        """Return what the verification of a rollback by hand finds.

        Args:
            restart: the command that has the agent's pod made anew.
        """
        return self._finding(f"{self.reference} runs as {self.now}", f"{self.remedy}; then {restart}, and run again")

    @property
    def warning(self) -> str:
        """What the summary says of it where it does not stop the run."""
        return (
            f"WARNING: {self.reference} is {self.now} now, and was {self.before} before the upgrade: the tag was moved "
            f"since; next: {self.remedy}"
        )

    def _finding(self, observed: str, next_step: str) -> Finding:
        accept = f"{command(f'--accept={self.id}')} --reason=TEXT"
        expected = f"{self.before}, which ran before the upgrade: the tag was moved since"
        step = f"{next_step}. Or have the old version run as the tag says now: {accept}"
        return Finding(f"image of {self.agent}", observed, expected, step)


def is_other(before: str, now: str, nodes: NodeImages | None = None) -> bool | None:
    """Tell whether two ids are those of two images; None if that cannot be known.

    Args:
        nodes: an image that a node lists under both digests is one image: a registry can have several indexes of it.
    """
    (kind, had), (kind_now, has) = _parsed(before), _parsed(now)
    if not had or not has:
        return None
    if had == has:
        return False  # a digest names its content, whatever it is called
    if kind != kind_now:
        return None
    every = (names for listed in (nodes or {}).values() for names in listed)
    return not any({had, has} <= _digests(names) for names in every)


def meaning(reference: str, nodes: NodeImages, node: str | None = None) -> str:
    """Return the id that nodes list for a reference; empty if they do not, or not all of them the same.

    Args:
        node: where the agent runs; what this node lists decides alone.
    """
    wanted = frozenset(_spellings(reference))
    found = {
        name: next((f"{repository(reference)}@{digest}" for digest in sorted(_digests(names))), "")
        for name, listed in nodes.items()
        for names in listed
        if wanted & names
    }
    if node in found:
        return found[node]
    ids = set(found.values())
    return ids.pop() if len(ids) == 1 else ""


def holders(image_id: str, nodes: NodeImages) -> tuple[str, ...]:
    """Return the nodes that list an image by its digest."""
    kind, digest = _parsed(image_id)
    known = (name for name, listed in nodes.items() if any(digest in _digests(names) for names in listed))
    return tuple(sorted(known)) if kind == "registry" else ()


def _parsed(image_id: str) -> tuple[str, str]:
    """Return whose an id is, and its digest; an empty digest if it is none."""
    name, at, digest = _plain(image_id).rpartition("@")
    digest = f"sha256:{digest}" if _BARE.fullmatch(digest) else digest
    return ("registry" if at and name else "node"), digest if _DIGEST.fullmatch(digest) else ""


def _plain(image_id: str) -> str:
    """Return an id without what older kubelets put before it, such as ``docker-pullable://``."""
    return image_id.rpartition("://")[2]


def _digests(names: Collection[str]) -> set[str]:
    return {name.rpartition("@")[2] for name in names if "@" in name}


def _spellings(reference: str) -> Iterator[str]:
    """Yield what a node may call it: nodes list full names, manifests have short ones."""
    full = reference if tag(reference) or "@" in reference else f"{reference}:latest"
    yield full
    host, slash, _ = repository(full).partition("/")
    if not (slash and ("." in host or ":" in host or host == "localhost")):
        yield f"docker.io/{full}"
        yield f"docker.io/library/{full}"
