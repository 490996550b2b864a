"""The command ``openab-sop``: the procedure's suites, wherever they are installed.

It prints the pytest command that it stands for and becomes it: the process stays the same, so exit statuses, signals
and the terminal are pytest's own. A wheel has suites, plugins and pytest's settings beside this module, in
``procedure``, as a checkout has them at its root.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import shtab

import openab_sop
from openab_sop.escape import command
from openab_sop.options import FLAGS, GROUPS, HOWS, OPTIONS, Option
from openab_sop.redact import MASK, mask
from openab_sop.stages import STAGES

ALL = "all"
RBAC = "rbac"
USAGE = 4
"""Exit status of a wrong command line, as pytest has it."""
STATUSES = {
    "0": "done, or nothing to do",
    "1": "a check failed; nothing on the cluster was changed",
    "2-5": "pytest: interrupted (2), internal error, wrong usage, nothing collected",
    "10": "an answer is awaited; the new version runs",
    "11": "a check failed after a change; the old version is back and verified",
    "12": "the same, because somebody answered ROLLBACK",
    "13": "the data of an agent match neither the state before nor the backup",
    "14": "another run holds the release",
    "15": "changed and left as it is; the command under 'next' continues",
}
"""README.md explains each of them."""
_PYTEST = ("-P", "-B", "-m", "pytest", "-p", "no:cacheprovider")
"""Nothing is imported from the current directory, and nothing is written to where the suites are installed."""
_COMPLETED = {"FILE": shtab.FILE, "DIR": shtab.DIRECTORY, "KEY": shtab.FILE}


class Parser(argparse.ArgumentParser):
    """A parser that ends as pytest does where the command line is wrong."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and what to type, in one message."""
        if message.endswith("required: STAGE"):
            message = f"no stage is named; stages: {', '.join(stage.name for stage in STAGES)}, {ALL}"
        self.exit(USAGE, f"ERROR: {mask(message)}\n  next: {self.prog} --help\n")


def procedure() -> Path:
    """Return the directory with the suites: in a wheel it is beside this module, in a checkout above it."""
    here = Path(__file__).resolve().parent
    packaged = here / "procedure"
    return packaged if (packaged / "suites").is_dir() else here.parent


def parser() -> argparse.ArgumentParser:
    """Return the parser of ``openab-sop``, with the procedure's own options and none of pytest's."""
    accepted = Parser(
        prog="openab-sop",
        usage=f"openab-sop STAGE... [option...]\n       openab-sop {RBAC} STAGE... [--namespace=NAME] [--least]",
        description=_stages(),
        epilog=_statuses(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    accepted.add_argument_group("what to run").add_argument(
        "stages",
        nargs="+",
        metavar="STAGE",
        choices=[*(stage.name for stage in STAGES), ALL, RBAC],
        help="one or more stages; they run in the order above",
    )
    accepted.add_argument("--version", action="version", version=f"openab-sop {openab_sop.__version__}")
    shtab.add_argument_to(accepted, ["--print-completion"], help="print the completion script of a shell")
    for title, options in GROUPS.items():
        group = accepted.add_argument_group(title)
        for option in options:
            _add(group.add_argument, option)
    switches = accepted.add_argument_group("without a value")
    for flag, text in FLAGS.items():
        switches.add_argument(flag, action="store_true", help=_percent(text))
    return accepted


def pytest_command(given: argparse.Namespace, *, shown: bool = False) -> list[str]:
    """Return the command that ``openab-sop`` stands for, as words.

    Args:
        shown: whether it is to be printed: what is secret in it is masked.
    """
    suites = procedure() / "suites"
    paths = [str(suites if stage == ALL else suites / stage) for stage in given.stages]
    options = [word for option in OPTIONS for word in _words(option, given, shown=shown)]
    flags = [flag for flag in FLAGS if getattr(given, flag.removeprefix("--").replace("-", "_"))]
    return [sys.executable, *_PYTEST, *paths, *options, *flags]


def main(words: Sequence[str] | None = None) -> None:
    """Run what was typed; does not return if that is a stage."""
    words = sys.argv[1:] if words is None else list(words)
    if words[:1] == [RBAC]:
        print_roles(words[1:])
        return
    accepted = parser()
    given = accepted.parse_intermixed_args(words)
    if RBAC in given.stages:
        accepted.error(f"{RBAC} comes first: openab-sop {RBAC} STAGE")
    if given.sandbox and not (procedure() / "sandbox").is_dir():
        accepted.error("--sandbox is only for a checkout: the sandbox is built there; name a cluster with --kubeconfig")
    print(mask(command(*pytest_command(given, shown=True))), flush=True)
    os.execv(sys.executable, pytest_command(given))


def print_roles(words: Sequence[str]) -> None:
    """Print the roles that stages need."""
    from openab_sop import names, rights  # here: they import the library, which takes a second
    from openab_sop.errors import InvalidName

    accepted = Parser(
        prog=f"openab-sop {RBAC}",
        description="Print the roles that stages need, for: kubectl -n NAMESPACE create -f -",
        allow_abbrev=False,
    )
    accepted.add_argument("stages", nargs="+", metavar="STAGE", choices=[*rights.NEEDED], help=", ".join(rights.NEEDED))
    accepted.add_argument("--namespace", metavar="NAME", help="namespace of the Role; default: where it is created")
    accepted.add_argument("--least", action="store_true", help="leave out what a stage can do without")
    given = accepted.parse_args(words)
    if given.namespace is not None:
        try:
            names.label(given.namespace, "namespace", "--namespace")
        except InvalidName as error:
            accepted.error(error.problem)
    print(rights.printed(given.stages, least=given.least, namespace=given.namespace), end="")


def _add(add_argument: Callable[..., argparse.Action], option: Option) -> None:
    default = f" (default: {option.default})" if option.default else ""
    added = add_argument(
        option.flag,
        dest=option.name,
        metavar=option.metavar,
        action="append" if option.many else "store",
        choices=HOWS.get(option.name),
        help=_percent(option.help + default),
    )
    if option.metavar in _COMPLETED:
        setattr(added, "complete", _COMPLETED[option.metavar])  # noqa: B010  (shtab's own field)


def _words(option: Option, given: argparse.Namespace, *, shown: bool) -> Iterator[str]:
    """Yield an option as it was given, once for each value."""
    value: str | list[str] | None = getattr(given, option.name)
    values = [value] if isinstance(value, str) else value or []
    yield from (f"{option.flag}={MASK if option.secret and shown else one}" for one in values)


def _stages() -> str:
    """Tell what each stage does."""
    rows = {stage.name: stage.about for stage in STAGES}
    alone = ", ".join(stage.name for stage in STAGES if stage.alone)
    rows[ALL] = f"every stage but those that run only if they are named: {alone}"
    rows[RBAC] = "run nothing: print the roles that stages need"
    return "\n".join(("Each stage runs the stages that it needs first.", "", "stages:", *_table(rows)))


def _statuses() -> str:
    environment = "An option with a value can be set in the environment too, unless it is typed only: OPENAB_NAMESPACE."
    return "\n".join((*textwrap.wrap(environment, _columns()), "", "exit statuses:", *_table(STATUSES)))


def _table(rows: dict[str, str]) -> Iterator[str]:
    for name, text in rows.items():
        head = f"  {name:<12} "
        yield from textwrap.wrap(text, _columns(), initial_indent=head, subsequent_indent=" " * len(head))


def _columns() -> int:
    return shutil.get_terminal_size().columns - 2


def _percent(text: str) -> str:
    """argparse takes a percent sign for a field."""
    return text.replace("%", "%%")
