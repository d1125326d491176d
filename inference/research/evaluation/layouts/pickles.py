"""Pickles of data sets; see `inference/pickles.py`."""

from ....pickles import load_table

__all__ = ["load_table"]
