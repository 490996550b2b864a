"""The sandbox as its users see it: up, down, reset, and what can be done with it while it is up."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sandbox import cgroups, commands, enclosure, network, node, parts, provision, site, toolchain, volumes
from sandbox.boot import Boot
from sandbox.command import run, search_path
from sandbox.config import Layout
from sandbox.errors import SandboxError
from sandbox.files import write_private
from sandbox.node import Node
from sandbox.parts import Programs
from sandbox.pki import Pki
from sandbox.processes import Records
from sandbox.site import Site
from sandbox.toolchain import Progress
from sandbox.wait import until

SERVICE_TIMEOUT = 30
"""Seconds for a service to answer for the first time."""


def silent(_: str) -> None:
    """A progress that nobody wants to see."""


@dataclass(frozen=True)
class Status:
    """What is known of a sandbox. `registry` is an OCI address for charts, `address` the host's as pods reach it."""

    up: bool
    kubeconfig: Path
    registry: str
    bin: Path
    state: Path
    address: str
    versions: dict[str, str]
    audit_log: Path | None

    def as_json(self) -> str:
        """The same as a JSON object."""
        return json.dumps(asdict(self), indent=2, default=str)


class Sandbox:
    """A one-node Kubernetes whose files are in `state`: without it, this checkout's own.

    Raises SandboxError if that path is too long.
    """

    def __init__(self, state: Path | None = None) -> None:
        self._state = (state or site.state_directory()).resolve()
        site.require_short(self._state)
        self._layout = Layout(self._state)
        self._parts = Records(self._layout.run / "parts")
        self._services = Records(self._state / "services")

    def up(self, progress: Progress = silent, optional: Sequence[str] = (), *, audit: bool = False) -> Status:
        """Build what is missing, start what does not run, and return when the node is Ready.

        Safe to repeat, and to call after any part was killed. `optional` names parts of `parts.OPTIONAL`; `audit`
        switches the apiserver's audit log on. Both stay until `down`. Raises SandboxError naming the part that failed.
        """
        toolchain.prepare_host(progress)
        with self._lock():
            boot = self._last_boot().extended(optional, audit=audit)
            programs = parts.prepare(boot.optional, progress)
            boot = replace(boot, core=programs.core())
            running = self._running(boot, programs)
            if running:
                self._remember(boot)
                self._start_registry(running.site, programs)
                running.ensure_storage()
            else:
                self._halt()
                running = self._boot(boot, programs, progress)
            commands.write(self._layout, programs, running)
        return self.status()

    def down(self, *, purge: bool = False) -> None:
        """Stop everything and leave nothing of it on the machine but files; with `purge`, not these either."""
        toolchain.require_root()
        with self._lock():
            self._halt()
            self._services.kill_all()
            shutil.rmtree(self._layout.run, ignore_errors=True)
        if purge and site.is_ours(self._state):
            shutil.rmtree(self._state)

    def reset(self, progress: Progress = silent) -> Status:
        """Start again with an empty cluster and no volumes; images, published charts and services stay."""
        toolchain.prepare_host(progress)
        with self._lock():
            boot = self._last_boot()
            programs = parts.prepare(boot.optional, progress)
            self._halt()
            layout = self._layout
            for directory in (layout.etcd, layout.kubelet, layout.logs / "pods"):
                shutil.rmtree(directory, ignore_errors=True)
            volumes.remove(layout.volumes)
            layout.audit_log.unlink(missing_ok=True)
            running = self._boot(replace(boot, core=programs.core()), programs, progress)
            commands.write(layout, programs, running)
        return self.status()

    def status(self) -> Status:
        """What there is, whether it is up or not. Changes nothing."""
        toolchain.require_root()
        place = site.find(self._state)
        return Status(
            up=self._is_up(),
            kubeconfig=self._layout.kubeconfig,
            registry=f"oci://127.0.0.1:{place.port('registry')}/charts",
            bin=self._layout.bin,
            state=self._state,
            address=place.address,
            versions=parts.versions(),
            audit_log=self._layout.audit_log if self._last_boot().audit else None,
        )

    def load(self, *tars: Path) -> None:
        """Import docker-archives, so that pods can use their images. Raises SandboxError if the node is not up."""
        ctr = self._require_up().bin / "ctr"
        for tar in tars:
            run(
                [ctr, "images", "import", _existing(tar)],
                timeout=300,
                next_step="check that it is a docker-archive",
            )

    def push(self, *charts: Path) -> None:
        """Publish packaged charts to the registry. Raises SandboxError if the node is not up."""
        status = self._require_up()
        env = {
            "PATH": search_path(),
            "HOME": str(self._state),
        }  # no proxy of the caller's, no login
        for chart in charts:
            run([status.bin / "helm", "push", "--plain-http", _existing(chart), status.registry], env=env)

    def service(
        self,
        name: str,
        argv: Sequence[str | Path],
        ready: Callable[[], bool],
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Have `argv` run beside the node until `down`, and return when `ready()` is true.

        The same call again while it is alive does nothing; other arguments replace it. It gets `env` and nothing of
        the caller's environment but PATH. Raises SandboxError with the end of its log if it dies.
        """
        with site.locked(self._state / "services.lock"):
            process = self._services.find(name)
            if process and process.argv != tuple(str(word) for word in argv):
                process.kill()
                process = None
            process = process or self._services.start(name, argv, self._layout.logs / f"{name}.log", env)
            until(
                f"the start of {name}",
                ready,
                timeout=SERVICE_TIMEOUT,
                check=process.require_alive,
                next_step=f"read its log, {process.log}",
            )

    def port(self, name: str) -> int:
        """The port that belongs to the service called `name`: the same for as long as this sandbox has its place."""
        return site.find(self._state).port(name)

    def _lock(self) -> AbstractContextManager[None]:
        return site.locked(self._state / "lock")

    def _last_boot(self) -> Boot:
        try:
            return Boot.from_json((self._layout.run / "boot.json").read_text())
        except FileNotFoundError:
            return Boot()

    def _remember(self, boot: Boot) -> None:
        write_private(self._layout.run / "boot.json", boot.as_json())

    def _is_up(self) -> bool:
        return all(self._parts.find(name) for name in (enclosure.NAME, *node.PARTS))

    def _require_up(self) -> Status:
        status = self.status()
        if not status.up:
            raise SandboxError("the sandbox is not up", "`python -m sandbox up`")
        return status

    def _running(self, boot: Boot, programs: Programs) -> Node | None:
        """The node if it runs, all of it, as `boot` wants it."""
        last = self._last_boot()
        inside = enclosure.find(self._parts)
        if not inside or not self._is_up() or (last.core, last.audit) != (boot.core, boot.audit):
            return None
        found = Node(site.find(self._state), self._layout, programs, Pki(self._layout.pki), self._parts, inside)
        with suppress(SandboxError):  # on a busy machine it may need a moment to answer
            found.wait_until_ready()
            return found
        return None

    def _boot(self, boot: Boot, programs: Programs, progress: Progress) -> Node:
        layout = self._layout
        place = site.find(self._state) if self._services.find("registry") else site.claim(self._state)
        shutil.rmtree(layout.run, ignore_errors=True)
        self._remember(boot)
        keys = provision.write_files(layout, place, programs)
        network.add_address(place)
        cgroups.create(place.cgroup)
        self._start_registry(place, programs)
        inside = enclosure.open_new(self._parts, programs.runtime / "pause", self._state, layout.logs / "enclosure.log")
        volumes.mount(inside, layout.volumes, progress)
        started = Node(place, layout, programs, keys, self._parts, inside)
        started.start(progress, audit=boot.audit)
        started.ensure_storage()
        progress("the node is Ready")
        return started

    def _halt(self) -> None:
        """End the node, whatever is left of it, and take back what it had of the machine."""
        self._parts.kill_all(first=enclosure.NAME)
        place = site.find(self._state)
        cgroups.remove(place.cgroup)
        network.remove(place)

    def _start_registry(self, place: Site, programs: Programs) -> None:
        port = place.port("registry")
        argv = [programs.runtime / "registry", f"127.0.0.1:{port}", self._layout.registry]
        # Its defaults: traces to nowhere, and a random secret that only matters behind a load balancer.
        self.service("registry", argv, lambda: node.accepts(port), {"OTEL_TRACES_EXPORTER": "none"})


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise SandboxError(f"no such file: {file}", "check the path")
    return file.resolve()
