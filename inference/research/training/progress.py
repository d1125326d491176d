"""Progress bars of training and data generation."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

LOG_SECONDS = 15.0


def bar(description: str, **options: Any) -> tqdm[Any]:
    """A progress bar on stderr: redrawn in place on a terminal, printed now and then elsewhere.

    Args:
        description: shown before the bar.
        options: those of `tqdm`.
    """
    pause = 0.2 if sys.stderr.isatty() else LOG_SECONDS
    return tqdm(desc=description, mininterval=pause, maxinterval=pause, dynamic_ncols=True, **options)


def share_bar(description: str, share: float = 0.0) -> tqdm[Any]:
    """A bar of a share from 0 to 1, which `advance` sets."""
    return bar(
        description, total=1.0, initial=share, bar_format="{desc}: {percentage:3.0f} %|{bar}| {elapsed}{postfix}"
    )


def advance(shown: tqdm[Any], share: float, **postfix: Any) -> None:
    """Set a `share_bar`, with figures behind it."""
    shown.set_postfix(postfix, refresh=False)
    shown.update(share - shown.n)
