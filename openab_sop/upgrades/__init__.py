"""The upgrade and the way back (SOP 3, 4)."""
