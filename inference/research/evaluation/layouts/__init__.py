"""Readers of data sets in their published layouts."""

from collections.abc import Mapping

LAYOUTS: Mapping[str, str] = {
    "3dpw": "threedpw",
    "human36m": "human36m",
    "mpi_inf_3dhp": "mpi_inf_3dhp",
    "emdb": "emdb",
}
"""The module of each layout; all have `clips(root, bodies)`, which yields every `clip.DatasetClip` of the test set."""
