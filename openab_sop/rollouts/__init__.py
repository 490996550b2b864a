"""How a rollout goes, by facts: observed, judged, timed (SOP 3.2, 3.5, 4.4)."""
