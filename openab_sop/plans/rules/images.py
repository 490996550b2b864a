"""Whether the image that runs after the upgrade is the one that the version promises."""

from __future__ import annotations

from collections.abc import Iterator

from openab_sop.agents.workload import Workload
from openab_sop.plans.plan import Plan
from openab_sop.rule import blocks, warns
from openab_sop.upstream import images
from openab_sop.upstream.charts import CONTAINERS
from openab_sop.verdict import Finding

VERSION = "with a version as its tag"
"""How an image is named that does not move."""


@blocks("image-unchanged", "The chart's version changes and the agent's does not: an outage without effect.")
def image_unchanged(plan: Plan) -> Iterator[Finding]:
    """The same image would run, because the values or the chart pin its tag or digest."""
    for new in _same(plan):
        if not images.moves(new.image):
            yield Finding(
                new.name,
                f"it would run {new.image}, as it does now",
                f"the image of {plan.target.app or plan.target.version}",
                plan.in_values("image", of=new, how="without this tag")
                + "; or accept that nothing but the chart changes",
            )


@blocks("image-cached", "The node asks for no newer image of this name: an outage without effect.")
def image_cached(plan: Plan) -> Iterator[Finding]:
    """The reference may mean a newer image, but kubelet uses the one that the node already has."""
    for new in _same(plan):
        if images.moves(new.image) and new.pull_policy != "Always":
            yield Finding(
                new.name,
                f"it would run {new.image} with imagePullPolicy {new.pull_policy}: what the node has",
                f"the image of {plan.target.app or plan.target.version}",
                f"{plan.in_values('image', of=new, how=VERSION)}; or set image.pullPolicy=Always",
            )


@warns("image-floats", "What runs is decided at each start of the pod, not by this upgrade.")
def image_floats(plan: Plan) -> Iterator[Finding]:
    """The tag may mean another image at the next start."""
    for old, new in plan.staying:
        if images.moves(new.image) and (old.image != new.image or new.pull_policy == "Always"):
            next_step = plan.in_values("image", of=new, how=VERSION)
            yield Finding(new.name, f"it would run {new.image}", "an image of one version", next_step)


@blocks("image-flavour", "The agent becomes another one without notice: its command and tools are not in that image.")
def image_flavour(plan: Plan) -> Iterator[Finding]:
    """The image has another name, apart from its registry."""
    for old, new in plan.staying:
        was, would = (images.flavour(side.image) for side in (old, new))
        if was != would:
            named = f"{images.unified(old.image)}:{plan.target.app or plan.target.version}-{was}"
            yield Finding(
                new.name,
                f"it would run {new.image}",
                f"an image of flavour {was}, as {old.image}",
                plan.in_values(f"image={named}", of=new),
            )


@blocks("image-missing", "The old pod stops first; without an image no new one starts.")
def image_missing(plan: Plan) -> Iterator[Finding]:
    """No node has the image, and its registry does not have it either."""
    for name, image in _told(plan, "missing"):
        seen = f"{image} is on no node, and its registry does not offer it to this caller"
        yield Finding(name, seen, _PULLABLE, "have it published, or name another image in the values")


@warns(
    "image-untold",
    "Only the pull shows whether the node can have it: before the old pod stops, if the caller may pull ahead.",
)
def image_untold(plan: Plan) -> Iterator[Finding]:
    """No node is known to have the image, and its registry could not be asked from here."""
    for name, image in _told(plan, "unknown"):
        seen = f"{image} is on no node, and its registry does not answer this machine"
        yield Finding(
            name,
            seen,
            _PULLABLE,
            "pytest suites/upgrade pulls it while the old version serves, unless a Job or a hook runs it",
        )
    for name, image in _told(plan, "internal"):
        seen = f"{image} is on no node, and its registry was not asked: internal address, which only the chart names"
        yield Finding(
            name,
            seen,
            _PULLABLE,
            "if you know this registry, name the image in the values; else ask the chart's authors",
        )


RULES = (image_unchanged, image_cached, image_floats, image_flavour, image_missing, image_untold)


_PULLABLE = "an image that can be pulled"


def _told(plan: Plan, what: str) -> Iterator[tuple[str, str]]:
    """Yield what runs images, and these, of those images of which this is told; as ``Plan.images`` has it."""
    for name, image in plan.pulled:
        if plan.images.get(image.reference) == what:
            yield name if image.container in CONTAINERS else f"{name}.{image.container}", image.reference


def _same(plan: Plan) -> Iterator[Workload]:
    """Yield the agents whose image would be called as it is now, although the chart's version moves."""
    if plan.current.version != plan.target.version:
        yield from (new for old, new in plan.staying if _meant(old.image) == _meant(new.image))


def _meant(image: str) -> str:
    """What of an image's reference decides: a digest where there is one, whatever tag is beside it."""
    return image.partition("@")[2] or image
