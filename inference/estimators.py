"""What estimates motion, and where it runs; needs nothing installed, so that the command line can offer it."""

from __future__ import annotations

from collections.abc import Mapping

NETWORKS: Mapping[str, tuple[str, ...]] = {"tar": ("tar_window", "tar_local"), "landmarks": ()}
"""By name the weight files that an estimator needs: a window's network and a frame's. The first is the default."""

DEFAULT = next(iter(NETWORKS))

DEVICES = ("auto", "cuda", "cpu")
