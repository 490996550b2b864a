"""Rehearsals: an upgrade tried on copies of the agents, which must never act as the real ones."""
