"""The command line: what it prints when something is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import SandboxError
from sandbox.__main__ import main
from sandbox.boot import Boot


def test_a_problem_is_one_error_with_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAB_SANDBOX_STATE", f"/tmp/{'long' * 20}")

    status = main(["push", str(tmp_path / "chart.tgz")])

    said = capsys.readouterr()
    assert status == 1
    assert said.out == ""
    assert said.err.startswith("sandbox: the state directory's path is too long")
    assert "\n  next: set OPENAB_SANDBOX_STATE" in said.err


def test_pins_are_printed_in_the_form_in_which_they_are_changed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["pin"])

    assert "kubernetes=v1." in capsys.readouterr().out


def test_an_unknown_command_is_a_usage_error() -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["start"])


def test_an_unknown_optional_part_is_named_with_the_known_ones() -> None:
    with pytest.raises(SandboxError, match="no such optional part: helm2") as caught:
        Boot().extended(["helm2"], audit=False)
    assert caught.value.next_step == "choose from: snapshots, helm3"


def test_what_was_asked_for_once_stays() -> None:
    boot = Boot().extended(["helm3"], audit=True).extended(["snapshots"], audit=False)

    assert boot.optional == ("helm3", "snapshots")
    assert boot.audit
    assert Boot.from_json(boot.as_json()) == boot
