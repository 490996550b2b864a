"""An agent: where its home is, how it is reached, held still, snapshotted; helper pods."""
