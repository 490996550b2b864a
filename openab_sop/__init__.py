"""openab-sop: what OpenAB's upgrade procedure does and checks, as a library.

It never imports pytest, the fixtures or the suites; ``tests/unit/test_layers.py`` keeps it so.
"""

from importlib.metadata import version

__version__ = version("openab-sop")
