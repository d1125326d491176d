"""The size of the suite, and its figures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from video_motion.inference.cli.testing import WHOLE_FAULTS

from .readers import READERS

WHOLE = os.environ.get(WHOLE_FAULTS) == "all"
"""Whether everything is tried, not the short form."""

FILES = 1000 if WHOLE else 24
"""How many files each reader gets."""

KILLS = 50 if WHOLE else 3
"""At how many moments each program is killed."""

_figures: list[str] = []

TABLE = Path(__file__).with_name("readers.md")
"""What the long form writes once it has tried every reader."""

HEAD = """\
# What became of damaged files

`./video-motion test faults` writes this page. The files neither read nor refused crashed Blender's own code, which
`convert` says in a sentence.

| reader | files | refused in a sentence | read | neither | most memory above the valid file's, MB | longest, s |
|---|---:|---:|---:|---:|---:|---:|
"""

_rows: list[str] = []


@pytest.fixture
def tell(record_property):
    """Keep a line for the report at the end of the tests."""

    def keep(line: str) -> None:
        # Also reaches the report where the tests run in several processes.
        record_property("figure", line)

    return keep


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect the figures of all tests."""
    if report.when == "call":
        _figures.extend(str(value) for name, value in report.user_properties if name == "figure")
        _rows.extend(str(value) for name, value in report.user_properties if name == "row")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print them, and write the table of readers if it is complete."""
    if WHOLE and len(_rows) == len(READERS):
        order = {name: place for place, name in enumerate(READERS)}
        rows = sorted(_rows, key=lambda row: order[row.split(" | ")[0].removeprefix("| ")])
        TABLE.write_text("\n".join([HEAD + rows[0], *rows[1:], ""]), encoding="utf-8")
    if _figures:
        terminalreporter.section("Faults")
        for line in _figures:
            terminalreporter.line(line)
