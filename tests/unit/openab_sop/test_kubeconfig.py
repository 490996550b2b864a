"""Which files, context and namespace: what kubectl would take, and one clear error otherwise."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from openab_sop.cluster.kubeconfig import resolve
from openab_sop.errors import SettingsError


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No KUBECONFIG, and a home without one."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def write(path: Path, *contexts: str, current: str | None = None, namespace: str | None = None) -> Path:
    """A kubeconfig with a cluster and a user for each context."""
    inside = {"user": "u"} | ({"namespace": namespace} if namespace else {})
    document: dict[str, Any] = {
        "clusters": [{"name": f"c-{name}", "cluster": {"server": f"https://{name}.{path.name}"}} for name in contexts],
        "contexts": [{"name": name, "context": {"cluster": f"c-{name}", **inside}} for name in contexts],
        "users": [{"name": "u", "user": {}}],
    }
    if current:
        document["current-context"] = current
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document))
    return path


def test_option_before_environment_before_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / ".kube" / "config", "one", current="one")
    assert (resolve(None, None, None).context, resolve(None, None, None).origin) == ("one", "the default")
    monkeypatch.setenv("KUBECONFIG", str(write(tmp_path / "env", "two", current="two")))
    assert (resolve(None, None, None).context, resolve(None, None, None).origin) == ("two", "KUBECONFIG")
    option = str(write(tmp_path / "option", "three", current="three"))
    assert (resolve(option, None, None).context, resolve(option, None, None).origin) == ("three", "--kubeconfig")


def test_several_files_are_merged_the_first_wins(tmp_path: Path) -> None:
    first = write(tmp_path / "first", "a")
    second = write(tmp_path / "second", "a", "b", current="b")
    access = resolve(f"{first}{os.pathsep}{tmp_path / 'absent'}{os.pathsep}{second}", None, None)
    assert (access.context, access.paths) == ("b", (first, second))
    assert resolve(f"{first}{os.pathsep}{second}", "a", None).server == "https://a.first"


@pytest.mark.parametrize(
    ("option", "of_context", "expected", "origin"),
    [
        ("mine", "its", "mine", "--namespace"),
        (None, "its", "its", "the context"),
        (None, None, "default", "the default"),
    ],
)
def test_namespace(tmp_path: Path, option: str | None, of_context: str | None, expected: str, origin: str) -> None:
    file = write(tmp_path / "config", "a", current="a", namespace=of_context)
    access = resolve(str(file), None, option)
    assert (access.namespace, access.namespace_origin) == (expected, origin)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=rf"{tmp_path}/nothing \(from --kubeconfig\) does not exist"):
        resolve(str(tmp_path / "nothing"), None, None)


def test_unknown_context_lists_the_known(tmp_path: Path) -> None:
    file = write(tmp_path / "config", "a", "b", current="a")
    with pytest.raises(SettingsError, match=r"context 'c' is not in .*contexts there: a, b"):
        resolve(str(file), "c", None)


def test_no_current_context(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="sets no current context; contexts there: a"):
        resolve(str(write(tmp_path / "config", "a")), None, None)


@pytest.mark.parametrize("text", ["a: b: c", "- 1\n- 2", "contexts: 5", "\x00"])
def test_what_is_no_kubeconfig(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(SettingsError, match="config"):
        resolve(str(tmp_path / "config"), None, None)


def test_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is not a file"):
        resolve(str(tmp_path), None, None)
