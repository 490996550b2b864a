"""One loopback server that plays what an upgrade talks to outside the cluster.

A chat platform, a Discord webhook, the release-notes API (shape of GitHub's) and classic chart repositories,
with a control API for tests to look at what arrived and to make it fail. `python -m world.endpoint --help`.
"""
