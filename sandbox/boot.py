"""What a running node was started with: kept to tell whether it still is what is asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from sandbox.errors import SandboxError
from sandbox.parts import OPTIONAL


@dataclass(frozen=True)
class Boot:
    """`optional` parts are wanted, the apiserver's `audit` log is on, `core` are the directories of the programs."""

    optional: tuple[str, ...] = ()
    audit: bool = False
    core: tuple[str, ...] = ()

    def extended(self, optional: Sequence[str], *, audit: bool) -> Boot:
        """The same with more. Raises SandboxError for an optional part that does not exist."""
        if unknown := sorted(set(optional) - set(OPTIONAL)):
            raise SandboxError(f"no such optional part: {', '.join(unknown)}", f"choose from: {', '.join(OPTIONAL)}")
        return replace(self, optional=tuple(sorted({*self.optional, *optional})), audit=self.audit or audit)

    def as_json(self) -> str:
        """For the file that `from_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Boot:
        """What `as_json` wrote."""
        fields = json.loads(text)
        return cls(optional=tuple(fields["optional"]), audit=fields["audit"], core=tuple(fields["core"]))
