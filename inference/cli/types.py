"""Argument types and helpers shared by several commands. Standard library only."""

from __future__ import annotations

import argparse
from typing import TypeAlias

from .. import options
from ..options import count, non_negative, positive

__all__ = ["LAYOUTS", "Commands", "add_device", "command", "count", "non_negative", "non_negative_int", "positive"]

LAYOUTS = ("3dpw", "emdb", "human36m", "mpi_inf_3dhp")
"""Data sets that can be read as they are published."""

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def command(commands: Commands, name: str, summary: str, description: str) -> argparse.ArgumentParser:
    """Add a command and return its parser."""
    return commands.add_parser(name, help=summary, description=description)


def add_device(command: argparse.ArgumentParser) -> None:
    """Add the option that says where networks run."""
    options.add_argument(command, "device")


def non_negative_int(text: str) -> int:
    """Return an integer of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 0")
    return int(text)
