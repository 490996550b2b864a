"""Which cluster, as whom, in which namespace: resolved explicitly before anything is asked (SOP 0.2, 0.3)."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR
from typing import Any, cast

from openab_sop import bounded, names, storage
from openab_sop.errors import InvalidDocument, SettingsError
from openab_sop.escape import command
from openab_sop.objects import Object, part, parts

DEFAULT = Path("~/.kube/config")
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its own account (https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/)."""
K3S = Path("/etc/rancher/k3s/k3s.yaml")


@dataclass(frozen=True)
class KubeConfig:
    """The resolved access: files (as in KUBECONFIG), context, namespace, and where the namespace came from."""

    paths: tuple[Path, ...]
    origin: str
    context: str
    server: str
    namespace: str
    namespace_origin: str

    @property
    def joined(self) -> str:
        """The files in the form of the KUBECONFIG variable."""
        return os.pathsep.join(map(str, self.paths))


def resolve_paths(option: str | None) -> tuple[tuple[Path, ...], str]:
    """Return the kubeconfig files and where they were named (SOP 0.2).

    Args:
        option: value of ``--kubeconfig``; one path, or several joined as in KUBECONFIG.

    Raises:
        SettingsError: none of them exists, or one may not be read.
    """
    named = option or os.environ.get("KUBECONFIG") or ""
    origin = "--kubeconfig" if option else "KUBECONFIG" if named else "the default"
    paths = tuple(Path(part).expanduser() for part in (named or str(DEFAULT)).split(os.pathsep) if part)
    existing = tuple(path for path in paths if path.exists())
    if not existing and not named and (own := _of_account()):
        return (own,), "this pod's own account"
    if not existing:
        raise SettingsError(
            f"no kubeconfig: {', '.join(map(str, paths))} (from {origin}) does not exist",
            f"name one with --kubeconfig=FILE or in KUBECONFIG{_k3s_hint()}; or use --sandbox",
        )
    for path in existing:
        if not path.is_file():
            raise SettingsError(
                f"kubeconfig {path} (from {origin}) is not a file", "name a file with --kubeconfig=FILE"
            )
        if not os.access(path, os.R_OK):
            raise SettingsError(f"kubeconfig {path} (from {origin}) may not be read by this user", _unreadable(path))
    return existing, origin


def resolve(option: str | None, context: str | None, namespace: str | None) -> KubeConfig:
    """Resolve files, context and namespace (SOP 0.2, 0.3).

    Args:
        option, context, namespace: the values of the options of that name, None where not given.

    Raises:
        SettingsError: no file, no such context, or a file that is no kubeconfig.
        InvalidName: no namespace can be called so.
    """
    paths, origin = resolve_paths(option)
    documents = [_load(path) for path in paths]
    contexts = _named(documents, "contexts")
    current = context or next((str(d["current-context"]) for d in documents if d.get("current-context")), None)
    known = ", ".join(sorted(contexts)) or "none"
    if current is None:
        raise SettingsError(
            f"{', '.join(map(str, paths))} sets no current context; contexts there: {known}",
            "choose one with --context=NAME, or kubectl config use-context NAME",
        )
    if current not in contexts:
        raise SettingsError(
            f"context {current!r} is not in {', '.join(map(str, paths))}; contexts there: {known}",
            "choose one of them with --context=NAME",
        )
    chosen = part(contexts[current], "context")
    cluster = _named(documents, "clusters").get(str(chosen.get("cluster")), {})
    named = namespace or str(chosen.get("namespace") or "default")
    named_by = "--namespace" if namespace else "the context" if chosen.get("namespace") else "the default"
    return KubeConfig(
        paths=paths,
        origin=origin,
        context=current,
        server=str(part(cluster, "cluster").get("server", "")),
        namespace=names.label(named, "namespace", named_by),
        namespace_origin=named_by,
    )


def _of_account() -> Path | None:
    """Write what kubectl needs to be a pod's own account, where this is a pod; its token stays where it is."""
    host, port = (os.environ.get(f"KUBERNETES_SERVICE_{part}") for part in ("HOST", "PORT"))
    if not (host and port and os.access(ACCOUNT / "token", os.R_OK)):
        return None
    server = f"https://{f'[{host}]' if ':' in host else host}:{port}"
    names = {"name": "in-cluster"}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{**names, "cluster": {"server": server, "certificate-authority": str(ACCOUNT / "ca.crt")}}],
        "users": [{**names, "user": {"tokenFile": str(ACCOUNT / "token")}}],
        "contexts": [{**names, "context": {"cluster": "in-cluster", "user": "in-cluster", "namespace": _namespace()}}],
        "current-context": "in-cluster",
    }
    path = _own_directory() / "kubeconfig"  # it holds no secret
    storage.replace(path, json.dumps(document).encode())
    return path


def _own_directory() -> Path:
    """Return a private directory that is the same in each run: sessions name the file in it, and none is left over.

    Raises:
        SettingsError: somebody else has taken its name.
    """
    path = Path(tempfile.gettempdir(), f"openab-sop-account-{os.geteuid()}")
    try:
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        found = path.lstat()
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}", "name a kubeconfig with --kubeconfig=FILE") from error
    if not S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise SettingsError(
            f"{path} is not this user's own directory: somebody else has made it",
            "remove it, or name a kubeconfig with --kubeconfig=FILE",
        )
    return path


def _namespace() -> str:
    try:
        return (ACCOUNT / "namespace").read_text().strip()
    except OSError:
        return "default"


def _load(path: Path) -> Object:
    try:
        document = bounded.load_yaml(path.read_text(), str(path))
    except (InvalidDocument, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not YAML", "name a kubeconfig with --kubeconfig=FILE") from error
    if document is None:
        return {}
    if not _is_kubeconfig(document):
        raise SettingsError(f"{path} is not a kubeconfig", "name a kubeconfig with --kubeconfig=FILE")
    return cast(Object, document)


def _is_kubeconfig(document: Any) -> bool:
    """Whether what is read here has the shape that kubectl writes."""
    return isinstance(document, dict) and all(
        _are_named(document.get(section) or [], key)  # pyright: ignore[reportUnknownMemberType]
        for section, key in (("contexts", "context"), ("clusters", "cluster"))
    )


def _are_named(items: Any, key: str) -> bool:
    return isinstance(items, list) and all(
        isinstance(item, dict) and isinstance(item.get(key) or {}, dict)  # pyright: ignore
        for item in cast(list[Any], items)
    )


def _named(documents: list[Object], section: str) -> dict[str, Object]:
    """Merge a section of several files; as in kubectl, the first that has a name wins."""
    merged: dict[str, Object] = {}
    for document in documents:
        for item in parts(document, section):
            merged.setdefault(str(item.get("name")), item)
    return merged


def _k3s_hint() -> str:
    return f" (k3s keeps its own in {K3S})" if K3S.exists() else ""


def _unreadable(path: Path) -> str:
    if path == K3S:
        copy = command("sudo", "cp", str(K3S))
        return f"k3s keeps it for root: {copy} ~/.kube/config && sudo chown $USER ~/.kube/config"
    return f"make it readable ({command('ls', '-l', str(path))}), or name another with --kubeconfig=FILE"
