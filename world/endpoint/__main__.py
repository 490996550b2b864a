"""`python -m world.endpoint --root DIR --port PORT ADDRESS...`: serve until SIGTERM."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from world.endpoint.server import Endpoint, serve


def main() -> None:
    """Parse the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m world.endpoint", description="Play what an upgrade talks to.")
    parser.add_argument("--root", type=Path, required=True, help="directory with notes.json, charts/ and trials/")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--revision", help="no effect: tells a server of changed code from an older one")
    parser.add_argument("addresses", nargs="+", help="local addresses to listen on")
    arguments = parser.parse_args()
    ending = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    serve(Endpoint(arguments.root), arguments.addresses, arguments.port)
    signal.sigwait(ending)


if __name__ == "__main__":
    main()
