"""The size of the suite, and its figures."""

from __future__ import annotations

import os

import pytest
from video_motion.inference.cli.testing import WHOLE_FAULTS

WHOLE = os.environ.get(WHOLE_FAULTS) == "all"
"""Whether everything is tried, not the short form."""

FILES = 1000 if WHOLE else 24
"""How many files each reader gets."""

KILLS = 50 if WHOLE else 3
"""At how many moments each program is killed."""

_figures: list[str] = []


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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print them."""
    if _figures:
        terminalreporter.section("Faults")
        for line in _figures:
            terminalreporter.line(line)
