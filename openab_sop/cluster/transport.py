"""The way to the API: kubectl's own, so that we are whoever kubectl is, by the route that kubectl takes (SOP 0.2).

``kubectl proxy`` reads the kubeconfig as every kubectl and helm of this run does: impersonation, token files, exec
plugins, client certificates that are renewed, proxies, a pod's own account. It listens on a Unix socket in a directory
that nobody else may enter, and ends with this process, however that ends.

It costs 0.05 s of processor time a run and 0.5 ms a request; a request takes 2.2 ms where it took 1.1 by the client
library's own connection. For that there is one place that knows who we are.

Source: https://kubernetes.io/docs/reference/kubectl/generated/kubectl_proxy/
"""

from __future__ import annotations

import os
import socket
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection

from openab_sop.errors import ClusterError
from openab_sop.escape import command
from openab_sop.process import Tied, find

AT_ONCE = 16
"""Connections that are kept for requests that come at once."""


class Transport(urllib3.PoolManager):
    """Connections to the API through a kubectl that is started with the first of them.

    Args:
        proxy: the command of ``kubectl proxy``, but for its socket.
        env: its variables.
    """

    def __init__(self, proxy: Sequence[str], env: Mapping[str, str]) -> None:
        super().__init__(retries=False)
        self._proxy = tuple(proxy)
        self._env = dict(env)
        self._owner = 0
        self._starting = Lock()
        self._pool: _Pool | None = None

    def connection_from_host(self, *given: Any, **more: Any) -> urllib3.HTTPConnectionPool:
        """Return the connections, whatever host is asked for.

        Raises:
            ToolError: kubectl is missing. ClusterError: it does not take the kubeconfig.
        """
        with self._starting:
            if self._pool is None or self._owner != os.getpid():  # a fork has its own
                self._pool, self._owner = _Pool(self._started(), self._gone), os.getpid()
            return self._pool

    def _gone(self) -> None:
        """Have the next request start another: somebody has ended the one that was there."""
        with self._starting:
            self._pool = None

    def _started(self) -> Path:
        find(self._proxy[0])
        home = Path(tempfile.mkdtemp(prefix="openab-sop-"))  # 0700
        path = home / "api"
        kubectl = Tied.start([*self._proxy, f"--unix-socket={path}"], home, env=self._env)
        weakref.finalize(self, kubectl.end)
        if not kubectl.first:
            raise ClusterError(
                f"this access to the cluster cannot be used, kubectl says: {kubectl.errors}",
                f"check it with: {self._by_hand}",
            )
        return path

    @property
    def _by_hand(self) -> str:
        return command(*(word for word in self._proxy if word != "proxy"), "version")


class _ApiConnection(HTTPConnection):
    def __init__(self, path: Path, gone: Callable[[], None], **given: Any) -> None:
        super().__init__("localhost", **given)
        self._path, self._gone = path, gone

    def _new_conn(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self.timeout if isinstance(self.timeout, int | float) else None)
        try:
            connection.connect(str(self._path))
        except (ConnectionRefusedError, FileNotFoundError):
            connection.close()
            self._gone()
            raise
        return connection


class _Pool(urllib3.HTTPConnectionPool):
    def __init__(self, path: Path, gone: Callable[[], None]) -> None:
        super().__init__("localhost", maxsize=AT_ONCE, retries=False)  # who asks has the patience
        self._path, self._gone = path, gone

    def _new_conn(self) -> Any:
        return _ApiConnection(self._path, self._gone, timeout=self.timeout.connect_timeout)
