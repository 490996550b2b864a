"""The command line: `python -m sandbox build | up | down | reset | status | kubeconfig | load | push | pin`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from sandbox import parts, pins, toolchain
from sandbox.boot import Boot
from sandbox.box import Sandbox
from sandbox.errors import SandboxError
from sandbox.parts import OPTIONAL


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0, 1 with one error on stderr, or argparse's 2."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], None] = arguments.command
    try:
        command(arguments)
    except SandboxError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("sandbox: interrupted\n  next: the same command again goes on from here", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description="A real one-node Kubernetes of this checkout."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    build = commands.add_parser("build", help="build what is missing, and start nothing")
    build.add_argument("--with", dest="optional", type=_names, default=(), help=f"optional parts: {','.join(OPTIONAL)}")
    build.set_defaults(command=_build)

    up = commands.add_parser("up", help="build what is missing and start the node; safe to repeat")
    up.add_argument("--audit", action="store_true", help="switch the apiserver's audit log on")
    up.add_argument("--with", dest="optional", type=_names, default=(), help=f"optional parts: {','.join(OPTIONAL)}")
    up.set_defaults(command=_up)

    down = commands.add_parser("down", help="stop everything; images, charts and the cluster's data stay as files")
    down.add_argument("--purge", action="store_true", help="remove the files too")
    down.set_defaults(command=_down)

    reset = commands.add_parser("reset", help="an empty cluster again; images and charts stay")
    reset.set_defaults(command=_reset)

    status = commands.add_parser("status", help="where things are, and whether it is up")
    status.add_argument("--json", action="store_true")
    status.set_defaults(command=_status)

    kubeconfig = commands.add_parser("kubeconfig", help="print the path of the kubeconfig")
    kubeconfig.set_defaults(command=_kubeconfig)

    load = commands.add_parser("load", help="import images from docker-archives")
    load.add_argument("images", nargs="+", type=Path, metavar="IMAGE.tar")
    load.set_defaults(command=_load)

    push = commands.add_parser("push", help="publish packaged charts to the registry")
    push.add_argument("charts", nargs="+", type=Path, metavar="CHART.tgz")
    push.set_defaults(command=_push)

    pin = commands.add_parser("pin", help="print the pinned versions, or change them")
    pin.add_argument("changes", nargs="*", metavar="NAME=VERSION")
    pin.set_defaults(command=_pin)
    return parser


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _build(arguments: argparse.Namespace) -> None:
    wanted = Boot().extended(arguments.optional, audit=False).optional
    toolchain.prepare_host(_say)
    print(parts.prepare(wanted, _say).cluster.parent)


def _up(arguments: argparse.Namespace) -> None:
    status = Sandbox().up(_say, arguments.optional, audit=arguments.audit)
    print(f"export KUBECONFIG={status.kubeconfig} PATH={status.bin}:$PATH")


def _down(arguments: argparse.Namespace) -> None:
    Sandbox().down(purge=arguments.purge)


def _reset(_: argparse.Namespace) -> None:
    Sandbox().reset(_say)


def _kubeconfig(_: argparse.Namespace) -> None:
    print(Sandbox().status().kubeconfig)


def _load(arguments: argparse.Namespace) -> None:
    Sandbox().load(*arguments.images)


def _push(arguments: argparse.Namespace) -> None:
    Sandbox().push(*arguments.charts)


def _status(arguments: argparse.Namespace) -> None:
    status = Sandbox().status()
    if arguments.json:
        print(status.as_json())
        return
    print(f"up: {'yes' if status.up else 'no'}")
    for name in ("kubeconfig", "registry", "bin", "state", "address", "audit_log"):
        print(f"{name}: {getattr(status, name)}")
    for name, version in status.versions.items():
        print(f"{name}: {version}")


def _pin(arguments: argparse.Namespace) -> None:
    if arguments.changes:
        pins.change(arguments.changes, _say)
    for name, version in parts.versions().items():
        print(f"{name}={version}")


if __name__ == "__main__":
    sys.exit(main())
