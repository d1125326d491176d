"""What estimates motion, and where it runs; needs nothing installed, so that the command line can offer it."""

from __future__ import annotations

from collections.abc import Mapping

NETWORKS: Mapping[str, tuple[str, ...]] = {"tar": ("tar",), "landmarks": ()}
"""By name the weight files that an estimator needs: its network for windows, one for frames if it looks at local maps.

The first estimator is the default.
"""

DEFAULT = next(iter(NETWORKS))

DEVICES = ("auto", "cuda", "cpu")
