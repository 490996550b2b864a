"""Imports go one way: suites, then fixtures, then the library; sandbox and world stand aside (CONTRIBUTING)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = {"openab_sop", "fixtures", "suites", "sandbox", "world", "history", "tests"}

FORBIDDEN = {
    "openab_sop": {"pytest", "_pytest", "testinfra", "pytest_html"} | OURS - {"openab_sop"},
    "fixtures": {"suites", "world", "history", "tests"},
    "suites": {"sandbox", "world", "history", "tests", "subprocess", "kubernetes"},
    "sandbox": OURS - {"sandbox"},
    "world": OURS - {"world", "sandbox"},
}
"""What a layer never imports."""

PACKAGES = (
    "upstream",
    "cluster",
    "agents",
    "releases",
    "backups",
    "rollouts",
    "restores",
    "targets",
    "plans",
    "proposals",
    "rehearsals",
    "upgrades",
)
"""The library's packages: each imports only those before it, and modules of the library's top that import none."""

ALONE = {
    "fsspec": "store.py",
    "kubernetes": "kube.py",
    "subprocess": "process.py",
}
"""What only one module of the library imports."""


def imports(path: Path) -> set[str]:
    """Return the top-level packages that a module imports, wherever in it."""
    return set(_imported(ast.parse(path.read_text(), path)))


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def modules(layer: str) -> list[Path]:
    """Return the modules of a layer."""
    found = sorted((ROOT / layer).rglob("*.py"))
    assert found, layer
    return found


@pytest.mark.parametrize("layer", FORBIDDEN)
def test_a_layer_imports_only_what_is_below_it(layer: str) -> None:
    wrong = {
        str(path.relative_to(ROOT)): found for path in modules(layer) if (found := imports(path) & FORBIDDEN[layer])
    }
    assert not wrong


@pytest.mark.parametrize(("package", "module"), ALONE.items())
def test_one_module_is_the_seam_to_what_is_outside(package: str, module: str) -> None:
    assert [path.name for path in modules("openab_sop") if package in imports(path)] == [module]


def packages(path: Path) -> set[str]:
    """Return the library's packages that a module imports, however it does."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text(), path)) if isinstance(node, ast.ImportFrom)]
    named = {f"{node.module}.{alias.name}" for node in nodes for alias in node.names}
    return {name.split(".")[1] for name in named if name.startswith("openab_sop.")} & set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_of_the_library_import_one_way(package: str) -> None:
    below = set(PACKAGES[: PACKAGES.index(package) + 1])
    wrong = {path.name: later for path in modules(f"openab_sop/{package}") if (later := packages(path) - below)}
    assert not wrong


def test_what_all_packages_use_imports_none_of_them() -> None:
    """Readiness, rights, options, settings and the command know them all; no package imports one of these."""
    above = ("command", "options", "readiness", "rights", "settings")
    top = [path for path in (ROOT / "openab_sop").glob("*.py") if path.stem not in above]
    assert not {path.name: found for path in top if (found := packages(path))}
    users = [
        path
        for package in PACKAGES
        for path in modules(f"openab_sop/{package}")
        if re.search(r"openab_sop(\.| import )(command|options|readiness|rights|settings)\b", path.read_text())
    ]
    assert not users


def test_files_of_a_backup_are_taken_from_its_list() -> None:
    """What acts on a backup asks it for a file (``path``, ``file``, ``read``): it is listed, and as it was (14)."""
    of_a_backup = re.compile(
        r"(source|backup|baseline\(\)|copy|plain)\.directory\s*(/|\.glob|\.rglob|\.iterdir|\.joinpath)"
    )
    users = [path for layer in ("openab_sop", "fixtures", "suites") for path in modules(layer)]
    allowed = {"proof.py"}  # which tells what is missing, and what is there and not listed
    found = {path.name for path in users if of_a_backup.search(path.read_text())}
    assert found <= allowed
    assert of_a_backup.search('self.source.directory / "values.yaml"')


def test_only_the_sandbox_option_brings_the_sandbox_into_the_plugins() -> None:
    assert [path.name for path in modules("fixtures") if "sandbox" in imports(path)] == ["cluster.py"]


def test_imports_are_seen_wherever_they_stand(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("import a.b\nfrom c.d import e\nfrom . import f\ndef g():\n    import h\n    from i import j\n")
    assert imports(module) == {"a", "c", "h", "i"}
