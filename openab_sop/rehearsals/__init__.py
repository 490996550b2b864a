"""An upgrade rehearsed on a copy: the backup restored beside the release, both versions run on it, and compared."""
