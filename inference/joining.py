"""One video's report, from those of its parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from .conversion import NobodyFoundError, missing, nobody
from .options import Options


def joined(reports: Sequence[dict[str, Any]], options: Options) -> dict[str, Any]:
    """Return the report that the undivided video would have given, but for the order of its warnings.

    Args:
        reports: of the parts, in order, see `footage.parts`.
        options: what the user chose.

    Raises:
        NobodyFoundError: nobody was found in any of them, or not the chosen person.
    """
    seconds: Counter[str] = Counter()
    for one in reports:
        seconds.update(one["timings"])
    report = reports[0] | {
        name: [item for one in reports for item in one[name]] for name in ("shots", "people", "left_out")
    }
    report |= {name: sum(one[name] for one in reports) for name in ("frames", "seconds")}
    report["timings"] = {stage: round(value, 3) for stage, value in seconds.items()}
    warnings = dict.fromkeys(warning for one in reports for warning in one["warnings"])
    report["warnings"] = [*warnings, *missing(report, options)]
    for name in ("made", "message"):
        report.pop(name, None)
    if not report["people"]:
        raise NobodyFoundError(nobody(report, options), report)
    return report
