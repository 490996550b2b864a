"""The plan: what an upgrade would do to the release, judged before anything is touched (SOP 3.1)."""
