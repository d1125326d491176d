"""Memory that a long video takes from the detections to the motion file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SHORT, LONG = 1500, 9000
MOST_BYTES = 2400
"""That each further frame may take, half of what its motion alone has; 350 to 1,400 are measured, 10,800 were."""


@pytest.mark.timeout(1200)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Needs Linux's /proc.")
def test_memory_hardly_grows_with_the_length(tmp_path: Path):
    short, long = (_peak_bytes(count, tmp_path) for count in (SHORT, LONG))
    assert (long - short) / (LONG - SHORT) < MOST_BYTES


def _peak_bytes(count: int, folder: Path) -> int:
    command = [sys.executable, "-m", "tests.inference.motion.long_walk", str(count), str(folder / f"{count}.npz")]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=HERE.parents[2])
    return int(result.stdout)
