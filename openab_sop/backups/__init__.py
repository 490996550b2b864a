"""Backups: made, read back, encrypted, kept here or elsewhere, cleaned up (SOP 2, 6)."""
