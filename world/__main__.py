"""`python -m world publish | demo | versions | address NAME | endpoint-log | ask TEXT`."""

from __future__ import annotations

import argparse
import json
import sys
from urllib.error import URLError

from sandbox import Sandbox, SandboxError
from world.versions import family
from world.world import World


def main() -> int:
    """Run one command; 0, or 1 after saying what went wrong."""
    arguments = _parse()
    if arguments.command == "versions":
        _print_versions()
        return 0
    try:
        world = World(Sandbox())
        if arguments.command == "publish":
            world.publish(_say)
            for name, address in _addresses(world).items():
                print(f"{name:8} {address}")
        elif arguments.command == "address":
            print(_addresses(world)[arguments.name])
        elif arguments.command == "demo":
            demo = world.demo(_say)
            print(f"release {demo.release} in namespace {demo.namespace}: {', '.join(demo.deployments)}")
        elif arguments.command == "ask":
            print(world.endpoint.ask(arguments.text) or "no answer")
        else:
            print(json.dumps(world.endpoint.log(), indent=2))
    except SandboxError as error:
        print(error, file=sys.stderr)
        return 1
    except URLError as error:
        print(f"the endpoint does not answer: {error.reason}\n  next: python -m world publish", file=sys.stderr)
        return 1
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m world", description="A world to try upgrades in, on the sandbox.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("publish", help="build and publish every version, start the endpoint")
    commands.add_parser("demo", help="publish, and install a release with realistic homes")
    commands.add_parser("versions", help="list the versions")
    address = commands.add_parser("address", help="print where charts or notes are")
    address.add_argument("name", choices=("charts", "trials", "classic", "notes"))
    commands.add_parser("endpoint-log", help="what the endpoint received, as JSON")
    commands.add_parser("ask", help="write to the bot and print its answer").add_argument("text")
    return parser.parse_args()


def _addresses(world: World) -> dict[str, str]:
    return {
        "charts": f"{world.registry()}/openab",
        "trials": f"{world.registry('trials')}/openab",
        "classic": world.chart_repo_url,
        "notes": world.release_notes_url,
    }


def _print_versions() -> None:
    for version in family().versions:
        what = version.fault or ("migrates-data" if version.schema > 1 else "")
        print(f"{version.name:13} {version.version:28} {version.chart:9} {version.source:7} {what}".rstrip())


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
