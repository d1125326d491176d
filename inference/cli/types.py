"""Types of arguments that several commands take. Standard library only."""

from __future__ import annotations

import argparse
import math
from typing import TypeAlias

from ..estimators import DEVICES

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def command(commands: Commands, name: str, summary: str, description: str) -> argparse.ArgumentParser:
    """Add a command and return its parser."""
    return commands.add_parser(name, help=summary, description=description)


def add_device(command: argparse.ArgumentParser) -> None:
    """Describe where networks run."""
    command.add_argument(
        "--device",
        choices=DEVICES,
        default="auto",
        metavar="DEVICE",
        help="where networks run: cpu, cuda, cuda:N for the GPU of number N, or auto, the first GPU if it works and"
        " else the CPU (default: auto)",
    )


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is not a number")
    return value


def not_negative(text: str) -> float:
    """A number from 0."""
    value = _number(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return value


def positive(text: str) -> float:
    """A number above 0."""
    value = _number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def count(text: str) -> int:
    """A whole number from 1."""
    if not (text.isdecimal() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1")
    return int(text)


def whole(text: str) -> int:
    """A whole number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 0")
    return int(text)
