"""What all test runs share: a missing package skips what needs it, and skips.toml lists the skips that are allowed."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

# The tests' matrices and networks are so small that more threads only wait for each other, most of all when several
# processes test side by side. Libraries read this when they are imported.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

ROOT = Path(__file__).resolve().parents[1]
SKIPS = Path(__file__).with_name("skips.toml")


def pytest_configure(config: pytest.Config) -> None:
    # As a plugin of its own it also sees folders whose conftest.py can't be imported.
    config.pluginmanager.register(Skips(environment()), "skips")


def environment() -> str:
    """Return what these tests run in, as `skips.toml` names it."""
    if "bpy" in sys.modules and sys.modules["bpy"].app.binary_path:
        return "blender"
    if "VIDEO_MOTION_EXTENSION" in os.environ and Path("/output").is_dir():
        return "window"
    prefix = Path(sys.prefix).resolve()
    for folder, name in ((".venv", "complete"), (".venv-bpy-5.0.1", "bpy-5.0.1")):
        if prefix == (ROOT / folder).resolve():
            return name
    return "other"


class Skips:
    """Skips what lacks a package, and fails what is skipped for a reason that is not on the list."""

    def __init__(self, place: str):
        skips = tomllib.loads(SKIPS.read_text(encoding="utf-8"))["skip"]
        self.place = place
        self.allowed = [(skip["tests"], re.compile(skip["reason"])) for skip in skips if place in skip["environments"]]
        self.absent: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector):
        """Take a failed import of somebody else's package for a skip."""
        report = yield
        absent = re.findall(r"ModuleNotFoundError: No module named '(\w+)", str(report.longrepr))
        if report.failed and absent and absent[-1] not in ("video_motion", "tests"):
            report.outcome = "skipped"
            report.longrepr = (str(collector.path), 0, f"Skipped: needs {absent[-1]!r}")
        self._check(report)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self):
        """Check the skip of a test."""
        report = yield
        self._check(report)
        return report

    def _check(self, report: pytest.CollectReport | pytest.TestReport) -> None:
        if not report.skipped or hasattr(report, "wasxfail"):
            return
        assert isinstance(report.longrepr, tuple)
        file, line, reason = report.longrepr
        reason = reason.removeprefix("Skipped: ")
        if not any(fnmatchcase(report.nodeid, tests) and wanted.fullmatch(reason) for tests, wanted in self.allowed):
            report.outcome = "failed"
            report.longrepr = f"{file}:{line}: {SKIPS.name} has no entry for this skip ({self.place}): {reason}"

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Collect the names of missing packages."""
        self._note(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the names of missing packages."""
        self._note(report)

    def _note(self, report: pytest.CollectReport | pytest.TestReport) -> None:
        if report.skipped and isinstance(report.longrepr, tuple):
            self.absent.update(re.findall(r"(?:needs|could not import) '(\w+)'", report.longrepr[2]))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say once how to run what was skipped for lack of packages."""
        if self.absent and self.place == "other":
            terminalreporter.section("Not everything was run")
            terminalreporter.line(
                f"Some tests need {', '.join(sorted(self.absent))}. Python 3.11 gets these with\n"
                "    pip install -r requirements/convert.txt -r requirements/test.txt\n"
                "`./video-motion test` runs everything in an environment of its own."
            )
