"""Our own chart family, a stand-in agent, and the servers that they talk to: a world to try upgrades in.

from sandbox import Sandbox
from world import World
world = World(Sandbox())
world.publish(print)
world.install("openab", "somewhere", "0.8.0", world.demo_values())
"""

from __future__ import annotations

from world.world import Demo, Filled, World

__all__ = ["Demo", "Filled", "World"]
