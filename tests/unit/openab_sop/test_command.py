"""The command ``openab-sop``: what it takes, what it prints, and what it becomes."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import openab_sop
from openab_sop import command, rights
from openab_sop.options import FLAGS, GROUPS, OPTIONS
from openab_sop.stages import STAGES

SUITES = Path(__file__).resolve().parents[3] / "suites"
HEAD = [sys.executable, "-P", "-B", "-m", "pytest", "-p", "no:cacheprovider"]
Ran = Callable[..., list[str]]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Ran:
    """Run the command; returns what the process would have become."""
    became: list[list[str]] = []

    def execv(program: str, words: list[str]) -> None:
        assert program == words[0] == sys.executable
        became.append(words)

    monkeypatch.setattr("os.execv", execv)

    def run(*words: str) -> list[str]:
        command.main(words)
        return became[-1]

    return run


@pytest.mark.parametrize(
    ("typed", "passed"),
    [
        (["backup"], [f"{SUITES}/backup"]),
        (["all", "--target-version=0.8.2"], [str(SUITES), "--target-version=0.8.2"]),
        (["plan", "--namespace", "chat", "rehearsal"], [f"{SUITES}/plan", f"{SUITES}/rehearsal", "--namespace=chat"]),
        (["upgrade", "--connected-pattern="], [f"{SUITES}/upgrade", "--connected-pattern="]),
        (["cleanup", "--delete=a", "--delete=b", "--yes"], [f"{SUITES}/cleanup", "--delete=a", "--delete=b", "--yes"]),
        (["upgrade", "--reason=-k", "--accept=x"], [f"{SUITES}/upgrade", "--accept=x", "--reason=-k"]),
    ],
)
def test_it_becomes_pytest_with_what_was_typed(
    ran: Ran, capsys: pytest.CaptureFixture[str], typed: list[str], passed: list[str]
) -> None:
    became = ran(*typed)
    assert became == [*HEAD, *passed]
    assert shlex.split(capsys.readouterr().out) == became, "what is printed can be pasted"


def test_what_is_secret_is_passed_and_not_printed(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    secrets = ("--announce=service://planted-one", "--backup-root=s3://user:planted-two@bucket")
    assert ran("backup", *secrets)[-2:] == [*reversed(secrets)]
    assert "planted" not in (printed := capsys.readouterr().out)
    assert "'--announce=***'" in printed


def test_every_option_whose_help_says_secret_is_one() -> None:
    assert [option.name for option in OPTIONS if option.help.endswith("; secret")] == ["announce"]
    assert [option.name for option in OPTIONS if option.secret] == ["announce"]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ([], "no stage is named; stages: readiness, preparation,"),
        (["--namespace=chat"], "no stage is named; stages: readiness, preparation,"),
        (["bakcup"], "invalid choice: 'bakcup' (choose from "),
        (["backup", "-k", "gate"], "unrecognized arguments: -k gate"),
        (["backup", "--namesp=chat"], "unrecognized arguments: --namesp=chat"),
        (["backup", "--logins=all"], "argument --logins: invalid choice: 'all'"),
        (["backup", "rbac"], "rbac comes first"),
        (["rbac", "cleanup"], "invalid choice: 'cleanup'"),
        (["rbac", "backup", "--namespace=a/b"], "a/b"),
    ],
)
def test_a_wrong_command_line_is_one_message_with_the_status_of_pytest(
    ran: Ran, capsys: pytest.CaptureFixture[str], typed: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        ran(*typed)
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out) == (4, "")
    assert message in printed.err
    assert "\n  next: " in printed.err


def test_help_has_the_options_by_subject_and_none_of_pytest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--help"])
    output = capsys.readouterr().out
    assert ended.value.code == 0
    assert [option.flag for option in OPTIONS if f"\n  {option.flag} {option.metavar}" not in output] == []
    assert [flag for flag in FLAGS if f"\n  {flag} " not in output] == []
    heads = [output.index(f"\n{title}:\n") for title in ("stages", *GROUPS, "without a value", "exit statuses")]
    assert heads == sorted(heads)
    for stage in STAGES:
        (row,) = [line for line in output.splitlines() if line.startswith(f"  {stage.name:<12} ")]
        assert len(row.split()) > 3, "its suite says what it does"
    assert "--collect-only" not in output
    assert all(f"\n  {status:<12} " in output for status in command.STATUSES)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"openab-sop {openab_sop.__version__}\n")


@pytest.mark.parametrize("least", [False, True])
def test_roles_are_those_of_the_library(capsys: pytest.CaptureFixture[str], least: bool) -> None:
    command.main(["rbac", "backup", "plan", *(["--least"] if least else [])])
    assert capsys.readouterr().out == rights.printed(["backup", "plan"], least=least)


def test_a_namespace_is_in_the_role_alone(capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["rbac", "reinstall", "--namespace=chat"])
    role, cluster_role = capsys.readouterr().out.split("---\n")
    assert "\n  namespace: chat\n" in role
    assert "namespace: chat" not in cluster_role


def test_a_checkout_runs_its_own_suites() -> None:
    assert command.procedure() / "suites" == SUITES
