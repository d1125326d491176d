"""What the arguments of several commands have in common. Standard library only."""

from __future__ import annotations

import argparse
from typing import TypeAlias

from .. import options
from ..options import count, not_negative, positive

__all__ = ["Commands", "add_device", "command", "count", "not_negative", "positive", "whole"]

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def command(commands: Commands, name: str, summary: str, description: str) -> argparse.ArgumentParser:
    """Add a command and return its parser."""
    return commands.add_parser(name, help=summary, description=description)


def add_device(command: argparse.ArgumentParser) -> None:
    """Add the option that says where networks run."""
    options.add_argument(command, "device")


def whole(text: str) -> int:
    """Return a whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 0")
    return int(text)
