"""The cluster: its API, helm, commands in pods, and what tells runs apart: lock, owner, field ownership."""
