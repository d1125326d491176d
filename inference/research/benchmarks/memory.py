"""Peak memory on short and long clips."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...estimators import LANDMARKS
from . import runs

# A process inherits the peak memory of its parent, so a small process starts it.
PEAK = """\
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:], stdout=sys.stderr)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""


def measure(
    video: Path, counts: Sequence[int], qualities: Sequence[str] = tuple(LANDMARKS), with_details: bool = True
) -> Iterator[str]:
    """Yield the peak memory of `estimate` in some qualities on the video, repeated or cut to numbers of frames.

    Args:
        video: the footage.
        counts: of frames.
        qualities: of `estimate`.
        with_details: whether hands and faces are looked at.
    """
    options = () if with_details else ("--no-hands", "--no-face")
    yield f"| {video.name}: peak memory of `estimate` | {' | '.join(f'{count:,} frames' for count in counts)} |"
    yield f"|---|{'---:|' * len(counts)}"
    with tempfile.TemporaryDirectory() as folder:
        clips = [Path(folder) / f"{video.stem} {count}.mp4" for count in counts]
        for clip, count in zip(clips, counts, strict=True):
            runs.write_clip(video, clip, count)
        for quality in qualities:
            peaks = [_peak_megabytes(clip, quality, *options) for clip in clips]
            yield f"| {quality} | {' | '.join(f'{peak:.0f} MB' for peak in peaks)} |"


def _peak_megabytes(clip: Path, quality: str, *options: str) -> float:
    command = [sys.executable, "-c", PEAK, *runs.COMMAND, "estimate", clip, "--quality", quality, *options]
    result = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        raise runs.BenchError("The memory of `estimate` can't be measured: it failed as said above.")
    # Kilobytes on Linux, bytes on macOS.
    return int(result.stdout) / (1e6 if sys.platform == "darwin" else 1e3)
