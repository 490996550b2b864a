"""The values that a new chart version needs: proposed from what runs, and proved to change nothing else."""
