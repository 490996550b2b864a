"""What an operator installs: a wheel with the whole procedure, tried from an empty directory."""

from __future__ import annotations

import email
import os
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

import openab_sop
from openab_sop.options import FLAGS, OPTIONS
from openab_sop.stages import STAGES
from tests import warm
from tests.wheel import ROOT, Installed, install

PROCEDURE = "openab_sop/procedure/"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A directory of an operator's, with nothing in it."""
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def run(
    installed: Installed, directory: Path, *words: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command in a directory, without a cluster; the home is beside it."""
    found = warm.environment("OPENAB_", "PYTEST_", "PYTHON")
    found |= {"KUBECONFIG": "/nonexistent", "HOME": str(directory.parent / "home"), "COLUMNS": "100", **(env or {})}
    return subprocess.run(
        [installed.command, *words],
        cwd=directory,
        env=found,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )


def test_the_wheel_has_the_procedure_and_nothing_of_the_tests(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        names = set(wheel.namelist())
        settings = wheel.read(f"{PROCEDURE}pyproject.toml")
    kept = {str(path.relative_to(ROOT)) for room in ("fixtures", "suites") for path in (ROOT / room).rglob("*.py")}
    kept |= {"conftest.py", "pyproject.toml", "fixtures/report.css"}
    assert {name.removeprefix(PROCEDURE) for name in names if name.startswith(PROCEDURE)} == kept
    assert settings == (ROOT / "pyproject.toml").read_bytes(), "one source of pytest's settings"
    assert "openab_sop/py.typed" in names
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"openab_sop"}


def test_its_metadata_are_complete(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        about = email.message_from_bytes(wheel.read(name))
    wanted = ("Version", "Summary", "License-Expression", "License-File", "Requires-Python", "Keywords", "Author")
    assert not [field for field in wanted if not about[field]]
    assert about["Description-Content-Type"] == "text/markdown"
    assert "Typing :: Typed" in about.get_all("Classifier", [])
    assert about.get_all("Project-URL")


def test_help_and_version_from_an_empty_directory(installed: Installed, empty: Path) -> None:
    result = run(installed, empty, "--help")
    assert result.returncode == 0, result.stdout
    words = result.stdout.split()
    assert not [option.flag for option in OPTIONS if option.flag not in words and option.flag != "--accept"]
    assert not [flag for flag in FLAGS if flag not in words]
    assert all(f"\n  {stage.name:<12} " in result.stdout for stage in STAGES)
    version = run(installed, empty, "--version")
    assert version.stdout.startswith("openab-sop ")
    assert installed.wheel.name.split("-")[1] == version.stdout.split()[1]


def test_a_run_without_a_cluster_says_so_and_leaves_its_report_here(installed: Installed, empty: Path) -> None:
    before = installed.files()
    ended = run(installed, empty, "backup", "--namespace=chat")
    assert ended.returncode == 1, ended.stdout
    shown, *rest = ended.stdout.splitlines()
    assert "-m pytest" in shown
    assert shown.endswith(f"{installed.packages}/{PROCEDURE}suites/backup --namespace=chat")
    assert "no kubeconfig: /nonexistent (from KUBECONFIG) does not exist\n  next: name one with" in ended.stdout
    assert ended.stdout.count("no kubeconfig") == 1
    assert "--sandbox" not in ended.stdout, "there is none"
    assert len([row for row in rest if row.startswith("   not run")]) == 1
    (report,) = (empty / "reports").iterdir()
    assert "not run" in (report / "report.html").read_text()
    assert [path.name for path in empty.iterdir()] == ["reports"]
    assert installed.files() == before


def test_modules_of_the_current_directory_are_not_imported(installed: Installed, empty: Path) -> None:
    for name in ("pytest", "yaml", "fixtures", "conftest"):
        (empty / f"{name}.py").write_text("raise SystemExit('imported from the current directory')")
    (empty / "pytest.ini").write_text("[pytest]\naddopts = --collect-only\n")
    ended = run(installed, empty, "backup")
    assert ended.returncode == 1, ended.stdout
    assert "imported from the current directory" not in ended.stdout


def test_what_is_refused_is_told_as_it_is_typed(installed: Installed, empty: Path) -> None:
    ended = run(installed, empty, "backup", "--abandon", "--reason=over")
    assert ended.returncode == 4, ended.stdout
    assert "--abandon belongs to openab-sop rollback" in ended.stdout
    sandbox = run(installed, empty, "backup", "--sandbox")
    assert (sandbox.returncode, sandbox.stdout.count("ERROR: --sandbox is only for a checkout")) == (4, 1)
    assert not (empty / "reports").exists()


def test_roles_are_those_of_the_library(installed: Installed, empty: Path) -> None:
    result = run(installed, empty, "rbac", "backup", "--namespace=chat")
    assert result.returncode == 0
    assert "\n  name: openab-sop-backup\n  namespace: chat\n" in result.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_can_complete_stages_and_options(installed: Installed, empty: Path, shell: str) -> None:
    result = run(installed, empty, "--print-completion", shell)
    assert result.returncode == 0
    assert all(word in result.stdout for word in ("rehearsal", "--target-version", "--rehearse"))
    if shell == "bash":
        script = (
            f'{result.stdout}\nCOMP_WORDS=(openab-sop reh); COMP_CWORD=1; _shtab_openab_sop; echo "${{COMPREPLY[@]}}"'
        )
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
        assert done.stdout.split() == ["rehearsal"], done.stderr


def test_the_version_is_that_of_the_metadata() -> None:
    assert openab_sop.__version__[0].isdecimal()
