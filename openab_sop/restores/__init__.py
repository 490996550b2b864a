"""The way from a backup to a volume, or to a whole release (SOP 5, 4.5)."""
