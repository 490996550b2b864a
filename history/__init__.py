"""The plan gate tried on the history of a real chart: what it says of each step, and whether that comes true.

Nothing of that chart is kept here: its packages are read at run time, and ``pack`` makes them from a clone.
"""
