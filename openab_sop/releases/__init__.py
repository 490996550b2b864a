"""A release of Helm: its agents and objects, its record, and what is stored of it between runs."""
