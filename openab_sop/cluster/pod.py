"""Commands inside the agent's container, over ``kubectl exec``, with the end of their output proved.

An exec stream may end early with status 0 when its reader is slower than the pod (kubernetes/kubernetes#124571). So
every script runs inside a frame: its output is followed by an end mark that only this call knows, and the pod's side
then waits until the reader has acknowledged it. Output without its mark is an error, whatever the exit status says.
When this process dies, the script in the pod would block in its next write for ever: the frame sees the end of its
standard input and kills the script.

Only sh and standard tools (find, tar, xargs, head, du, sha256sum; openssl with tr, if it is there) run in the pod;
nothing is written there.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from openab_sop import names
from openab_sop.cluster.kube import Cluster
from openab_sop.cluster.shells import Shells
from openab_sop.errors import CutOff, Disturbed, PodError, Stalled
from openab_sop.escape import command, one_line
from openab_sop.objects import Object
from openab_sop.process import Stream


class ScriptFailed(PodError):
    """A script ran to its end in the pod, with a status other than 0."""

    def __init__(self, problem: str, next_step: str, status: int) -> None:
        super().__init__(problem, next_step)
        self.status = status


T = TypeVar("T")
SLICE = 0.25
"""Seconds for which a stream waits before it looks whether it is to end."""
CHUNK = 1 << 16
"""Bytes asked for at once."""

LISTED = 1 << 30
"""Bytes of a listing at most: millions of names. A pod that sends more does not list a home."""

_MARKED = """mark=$1 status=1; cd "$2" && {{ shift 3; status=0; {script}
}}; printf '\\n%s %s\\n' "$mark" "$status\""""
_WATCHED = '{{ head -c "$3"; exec >&-; read -r _ || kill -s KILL -- "-$$"; }} | {{ ' + _MARKED + "; }}"
"""The left side hands on what the script reads, then waits for the acknowledgement: without one it kills the process
group that sh leads, where an exec's sh leads one, and no other."""
_FED = f"( {_MARKED}; read -r _; )"
"""The script reads for itself, and so sees the end."""
Progress = Callable[[int], None]
_STATUS_MAX = 8
"""Characters of an exit status and the line's end behind the mark."""


@dataclass(frozen=True)
class Pod:
    """One pod and the container that commands run in."""

    cluster: Cluster
    name: str
    uid: str
    node: str
    image: str
    image_id: str
    container: str
    restarts: int
    started: datetime
    spdy: bool = False
    """Whether kubectl speaks SPDY to it, which carries far more than websockets but does not pass every proxy."""
    shells: Shells | None = field(default=None, repr=False, compare=False)
    """What its scripts share while ``held`` lasts."""

    @classmethod
    def of(cls, cluster: Cluster, pod: Object, container: str) -> Pod:
        """Read a running pod from the API's object."""
        status = next(s for s in pod["status"]["containerStatuses"] if s["name"] == container)
        return cls(
            cluster=cluster,
            name=pod["metadata"]["name"],
            uid=pod["metadata"]["uid"],
            node=pod["spec"]["nodeName"],
            image=status["image"],
            image_id=status["imageID"],
            container=container,
            restarts=int(status["restartCount"]),
            started=datetime.fromisoformat(status["state"]["running"]["startedAt"]),
        )

    @property
    def shell(self) -> str:
        """What an operator types to run a command in the container; the command follows."""
        return command("kubectl", "-n", self.cluster.namespace, "exec", "-it", self.name, "-c", self.container, "--")

    @contextmanager
    def open(
        self,
        script: str,
        directory: str,
        *arguments: str,
        stdin: bytes | None = b"",
        progress: Progress = lambda received: None,
        limit: int = LISTED,
    ) -> Generator[Output]:
        """Start a script of ours and read its output as it comes.

        Args:
            script: constant text for sh, never built from data; it sets ``status`` if it fails.
            directory: where it runs.
            arguments: its positional parameters.
            stdin: what it reads, no more than a pipe takes at once; None if it comes by ``Output.send``, and the script
                knows its end.
            progress: told the bytes received so far at each read.
            limit: bytes of output after which it is given up: the pod's side may have no end.

        Raises:
            CutOff: the output ended before its end mark, or stood still; PodError: it goes beyond its limit;
            ScriptFailed: its status is not 0; all of them from ``Output.read``.
        """
        with self._way() as shells, shells.lend() as shell:
            frame = _FED if stdin is None else _WATCHED
            given = stdin or b""
            mark = secrets.token_hex(16)
            shell.ask(frame.format(script=script), mark, directory, str(len(given)), *arguments)
            shell.process.write(given)
            output = Output(self, shell.process, mark.encode(), progress, limit, script.split(maxsplit=1)[0])
            try:
                yield output
            finally:
                shell.is_free = output.acknowledged  # else the pod's side would wait until the node closes the stream

    @contextmanager
    def held(self) -> Generator[Pod]:
        """Give the pod with a way into it that all scripts in the block share: each further one costs no kubectl.

        It is by SPDY, if a first script gets through.
        """
        if self.shells:
            yield self
            return
        with ExitStack() as stack:
            fast = replace(self, spdy=True)
            fast = replace(fast, shells=stack.enter_context(fast._way()))
            try:
                fast.capture(":", "/")
            except (PodError, CutOff):
                fast = replace(self, shells=stack.enter_context(self._way()))
            yield fast

    @contextmanager
    def _way(self) -> Generator[Shells]:
        """Give the shells that scripts share, else some for this one."""
        if self.shells:
            yield self.shells
            return
        name, container = names.subdomain(self.name, "pod"), names.label(self.container, "container")
        argv = self.cluster.kubectl("exec", "-i", name, "-c", container, "--")
        transport = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false"} if self.spdy else {}
        with closing(Shells(argv, {**self.cluster.env, **transport})) as shells:
            yield shells

    def capture(self, script: str, directory: str, *arguments: str, limit: int = 1 << 20) -> bytes:
        """Run a script of ours to its end and return its output.

        Raises:
            PodError: it failed, or wrote more than ``limit`` bytes; CutOff: the stream ended early.
        """
        with self.open(script, directory, *arguments, limit=limit) as output:
            data = bytearray()
            while chunk := output.read(CHUNK):
                data += chunk
            return bytes(data)


class Output:
    """The output of a script in a pod: a readable stream whose end is proved.

    ``read`` returns what has arrived, so that nobody waits for bytes that the pod holds back until acknowledged.
    """

    def __init__(
        self, pod: Pod, process: Stream, mark: bytes, progress: Progress, limit: int, what: str = "the script"
    ) -> None:
        self._what = what
        self.received = 0
        self.acknowledged = False
        self._limit = limit
        self._progress = progress
        self._pod = pod
        self._process = process
        self._mark = b"\n" + mark + b" "
        self._said = process.said()
        self._held = b""
        self._ended = False

    def read(self, size: int) -> bytes:
        """Return up to about ``size`` bytes of output, empty only at its proved end.

        Raises:
            CutOff: the stream ended without the mark; PodError: it goes beyond its limit; ScriptFailed: its status is
                not 0.
        """
        reserve = len(self._mark) + _STATUS_MAX
        while not self._ended and len(self._held) <= reserve:
            chunk = self._moving("sends", lambda: self._process.read(max(size, CHUNK), SLICE))
            if not chunk:
                raise self._cut_off()
            self.received += len(chunk)
            if self.received > self._limit:
                raise self._endless()
            self._progress(self.received)
            self._held += chunk
            self._find_end(reserve)
        keep = 0 if self._ended else reserve
        out, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return out

    def send(self, data: bytes) -> None:
        """Write to the script's standard input; one that is gone shows at the next read."""
        left = [data]

        def write() -> None:
            left[0] = self._process.write(left[0], SLICE)
            if left[0]:
                raise TimeoutError

        self._moving("takes", write)

    def stderr(self) -> str:
        """Return the last of what the script said on its standard error."""
        return one_line(self._process.errors(self._said))

    def _find_end(self, reserve: int) -> None:
        if not self._held.endswith(b"\n"):
            return
        start = self._held.rfind(self._mark, max(0, len(self._held) - reserve))
        if start < 0:
            return
        said = self._held[start + len(self._mark) :].strip()
        status = int(said) if said.isdigit() else -1
        self._process.write(b"\n")
        self.acknowledged = True
        if status != 0:
            raise ScriptFailed(
                f"a command in pod {self._pod.name} failed with status {status}: {self.stderr()}",
                f"look into it with: {self._pod.shell} sh",
                status,
            )
        self._held = self._held[:start]
        self._ended = True

    def _endless(self) -> PodError:
        return PodError(
            f"pod {self._pod.name} sends more than {self._limit} bytes, far more than what was asked for can take",
            "look into the pod: its tools are not to be trusted",
        )

    def _moving(self, does: str, act: Callable[[], T]) -> T:
        """Do something that waits for the pod's side, in slices: for as long as it may stall, and nobody says halt."""
        retry = self._pod.cluster.retry
        deadline = time.monotonic() + retry.stall
        while True:
            if retry.halted:
                raise Disturbed(retry.halted)
            try:
                return act()
            except TimeoutError:
                if time.monotonic() >= deadline:
                    raise self._stalled(does) from None

    def _stalled(self, does: str) -> Stalled:
        return Stalled(
            f"{self._what} in pod {self._pod.name} {does} nothing for {self._pod.cluster.retry.stall:g} s, "
            f"after {self.received} bytes",
            "look whether it still works, and whether the node does: "
            f"{self._pod.shell} sh -c 'cat /proc/[0-9]*/stat'; --stall-timeout=SECONDS gives it longer",
        )

    def _cut_off(self) -> CutOff:
        said = f": {said}" if (said := self.stderr()) else ""
        return CutOff(
            f"the stream from pod {self._pod.name} was cut off after {self.received} bytes{said}",
            "check that the pod still runs (kubectl get pods) and has sh; then run again",
        )
