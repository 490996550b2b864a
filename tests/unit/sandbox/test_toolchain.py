"""What the machine lacks is said at once, in one error, with the way out."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sandbox import SandboxError, toolchain
from sandbox.box import silent


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with no tool at all, not even apt-get, where we are root."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(toolchain, "search_path", lambda: str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.mark.usefixtures("bare_machine")
def test_all_missing_tools_are_named_with_the_command_that_installs_them() -> None:
    with pytest.raises(SandboxError) as caught:
        toolchain.prepare_host(lambda _: None)

    assert all(tool.name in caught.value.problem for tool in toolchain.TOOLS)
    assert "apt-get install " in caught.value.next_step
    assert "libseccomp-dev" in caught.value.next_step
    assert "--kubeconfig works without the sandbox" in caught.value.next_step


def test_who_is_not_root_learns_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(SandboxError, match="needs root") as caught:
        toolchain.require_root()
    assert "sudo" in caught.value.next_step


def test_another_system_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain.sys, "platform", "darwin")

    with pytest.raises(SandboxError, match="runs on Linux"):
        toolchain.require_root()


def test_the_hosts_go_is_used_if_it_is_new_enough() -> None:
    assert toolchain.go("1.0", lambda _: None).name == "go"


def test_go_is_installed_once_however_many_wait_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has waited for the lock must not take away what another compiles with by now."""
    calls: list[list[object]] = []

    def pip(argv: list[object], **_: object) -> str:
        calls.append(argv)
        (Path(str(argv[argv.index("--target") + 1])) / "go" / "bin").mkdir(parents=True)
        return ""

    monkeypatch.setenv("OPENAB_SANDBOX_CACHE", str(tmp_path))
    monkeypatch.setattr(toolchain, "run", pip)
    monkeypatch.setattr(toolchain.shutil, "which", silent)
    with ThreadPoolExecutor(4) as several:
        found = {had.result() for had in [several.submit(toolchain.go, "9.9.9", silent) for _ in range(4)]}
    assert found == {tmp_path / "go-9.9.9" / "go" / "bin" / "go"}
    assert len(calls) == 1
