"""Readers of data sets in their published layouts."""

from collections.abc import Mapping

LAYOUTS: Mapping[str, str] = {
    "3dpw": "threedpw",
    "human36m": "human36m",
    "mpi_inf_3dhp": "mpi_inf_3dhp",
    "emdb": "emdb",
}
"""The module of each layout; all have `clips(root, bodies)`, which yields every `clip.DatasetClip` of the test set.

Those from which networks can learn also have `files(root, split)`, which lists the files of the clips in a split
(`train`, `validation` or `test`), each with the clip's name, and `read(file, bodies)`, which gives a clip with its
`to_camera`.
"""

NOT_FOR_TRAINING: Mapping[str, str] = {
    "human36m": "whose truth is joints without SMPL's poses and shapes",
    "mpi_inf_3dhp": "whose truth is joints without SMPL's poses and shapes",
    "emdb": "which has no training split",
}
"""Why networks can't learn from a layout, for a sentence."""
