"""What an upgrade leads to: sources, versions, notes, room, and who is told (SOP 1.3-1.8)."""
