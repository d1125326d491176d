"""Readers of data sets in the layouts that they are given out in."""

from collections.abc import Mapping

LAYOUTS: Mapping[str, str] = {
    "3dpw": "threedpw",
    "human36m": "human36m",
    "mpi_inf_3dhp": "mpi_inf_3dhp",
    "emdb": "emdb",
}
"""The module of each layout; all have `clips(root, bodies)`, which yields every `clip.Clip` of the test set."""
