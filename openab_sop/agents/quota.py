"""Whether a quota has room for our pods once the agents' own have stopped: pure arithmetic (SOP 4.3).

Our pods are alone then: what the stopped ones give back counts, as far as the quota counts them. One with a scope may
not: a helper has a deadline, which brings it under the scope ``Terminating``, and an agent has none.
Source: https://kubernetes.io/docs/concepts/policy/resource-quotas/ (quota scopes)
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain

from openab_sop.cluster.kube import quantity
from openab_sop.objects import Object, at, part, parts

_SAID = re.compile(
    r"exceeded quota: (?P<quota>[^\s,]{1,253}), requested: (?P<requested>\S{1,1000}), "
    r"used: (?P<used>\S{1,1000}), limited: (?P<limited>[^\s;]{1,1000})"
)
"""How the API says that a quota refuses a pod: names and amounts, as ``pods=2,requests.cpu=1``."""
_COUNTS: tuple[str, ...] = ("pods", "count/pods")
_ENDED = ("Succeeded", "Failed")
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
"""What a quota may name without ``requests.``."""

Amounts = Mapping[str, Decimal]


@dataclass(frozen=True)
class QuotaRefusal:
    """A quota, or what it has said of a pod that it does not admit: amounts by the quota's own names.

    Attributes:
        requested: what the pod asked for.
        used: what all pods that the quota counts have.
        limited: what they may have.
    """

    quota: str
    requested: Amounts
    used: Amounts
    limited: Amounts

    @classmethod
    def parse(cls, message: str) -> QuotaRefusal | None:
        """Read it from the API's message; None if that is of something else."""
        if not (said := _SAID.search(message)):
            return None
        requested, used, limited = (_amounts(said[word]) for word in ("requested", "used", "limited"))
        return cls(said["quota"], requested, used, limited)

    @classmethod
    def read(cls, quota: Object) -> QuotaRefusal:
        """Read it from a ResourceQuota; nobody has asked for anything."""
        used, limited = (
            {name: quantity(amount) for name, amount in part(quota, "status", word).items()}
            for word in ("used", "hard")
        )
        return cls(str(at(quota, "metadata", "name")), {}, used, limited)

    @property
    def is_overdrawn(self) -> bool:
        """Whether more is used by now than the quota allows: whatever stops does not start again."""
        return any(name in self.used and self.used[name] > limit for name, limit in self.limited.items())

    def lacking(self, helpers: Collection[Amounts], stopping: Iterable[Object], quota: Object | None) -> str:
        """Say what a quota lacks for our pods once the agents' have stopped; empty if it lacks nothing.

        Args:
            helpers: what each of those asks for that run at once.
            stopping: the pods that are to be stopped.
            quota: the ResourceQuota; None if the caller may not read it: then it counts every pod.
        """
        freed = [usage(pod) for pod in stopping if counts(quota or {}, pod)]
        asked = {name for one in helpers for name in one}
        for name in sorted(asked & self.limited.keys()):
            free = self.limited[name] - self.used.get(name, Decimal(0)) + _of(name, freed)
            if (wanted := _of(name, helpers)) > free:
                return (
                    f"quota {self.quota} allows {self.limited[name]:f} {name}, of which {max(free, Decimal(0)):f} are "
                    f"free once the agents have stopped, and {len(helpers)} helper pods that run at once take "
                    f"{wanted:f}"
                )
        return ""


def usage(pod: Object) -> dict[str, Decimal]:
    """Return what a pod takes of a quota, by each name that a quota may have for it; nothing once it has ended."""
    if at(pod, "status", "phase") in _ENDED:
        return {}
    spec = part(pod, "spec")
    found: dict[str, Decimal] = dict.fromkeys(_COUNTS, Decimal(1))
    for word in ("requests", "limits"):
        together = _sum(parts(spec, "containers"), word)
        alone = [_sum([container], word) for container in parts(spec, "initContainers")]
        for name in dict.fromkeys(chain(together, *alone)):
            found[f"{word}.{name}"] = max(amounts.get(name, Decimal(0)) for amounts in (together, *alone))
    return found | {name: found[f"requests.{name}"] for name in _COMPUTE if f"requests.{name}" in found}


def counts(quota: Object, pod: Object) -> bool:
    """Tell whether a quota counts a pod, by its scopes."""
    wanted = [(str(scope), "Exists", ()) for scope in at(quota, "spec", "scopes") or ()]
    for one in parts(quota, "spec", "scopeSelector", "matchExpressions"):
        wanted.append((str(one.get("scopeName")), str(one.get("operator")), tuple(one.get("values") or ())))
    return all(_is_in(pod, *one) for one in wanted)


def by_quality(quota: Object) -> bool:
    """Tell whether a quota counts pods by their quality of service: one of ours takes the one that is admitted."""
    scopes = {*(at(quota, "spec", "scopes") or ())}
    scopes |= {one.get("scopeName") for one in parts(quota, "spec", "scopeSelector", "matchExpressions")}
    return not scopes.isdisjoint(("BestEffort", "NotBestEffort"))


def _is_in(pod: Object, scope: str, operator: str, values: Collection[str]) -> bool:
    if scope in ("Terminating", "NotTerminating"):
        has_deadline = at(pod, "spec", "activeDeadlineSeconds") is not None
        return has_deadline == (scope == "Terminating")
    if scope in ("BestEffort", "NotBestEffort"):
        return (at(pod, "status", "qosClass") == "BestEffort") == (scope == "BestEffort")
    if scope == "PriorityClass":
        name = at(pod, "spec", "priorityClassName")
        there = {"In": name in values, "NotIn": name not in values, "Exists": bool(name), "DoesNotExist": not name}
        return there.get(operator, True)
    return True


def _sum(containers: Iterable[Object], word: str) -> dict[str, Decimal]:
    total: dict[str, Decimal] = {}
    for container in containers:
        for name, amount in part(container, "resources", word).items():
            total[name] = total.get(name, Decimal(0)) + quantity(amount)
    return total


def _of(name: str, amounts: Iterable[Amounts]) -> Decimal:
    return sum((one.get(name, Decimal(0)) for one in amounts), Decimal(0))


def _amounts(said: str) -> dict[str, Decimal]:
    pairs = (pair.partition("=") for pair in said.split(",") if "=" in pair)
    return {name: quantity(amount) for name, _, amount in pairs}
