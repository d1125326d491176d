"""Where the people station's time goes."""

from __future__ import annotations

import cProfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import CodeType

from ...footage.reader import Footage
from ...paths import ROOT
from .people import MOST_FRAMES, WARM_UP, Station


def measure(video: Path, quality: str = "fast", limit: int = MOST_FRAMES, top: int = 25) -> Iterator[str]:
    """Yield the functions in which the people station spends most time, without that of those that they call.

    Networks that run side by side do so in other threads; waiting for them is a lock's `acquire`.

    Args:
        video: the footage.
        quality: see `Options.quality`.
        limit: use no more frames than this.
        top: number of functions.

    Raises:
        FootageError: the video can't be read.
        RegistryError: a weight file can't be fetched.
    """
    with Footage(video) as footage:
        frames = list(islice(footage, WARM_UP + limit))
        station = Station(quality, footage.frame_rate)
    if len(frames) > WARM_UP:
        station.see(frames[:WARM_UP])
        frames = frames[WARM_UP:]
    profile = cProfile.Profile()
    began = time.perf_counter()
    profile.runcall(station.see, frames)
    seconds = time.perf_counter() - began
    yield f"| people, {quality}, {video.name}, {len(frames)} frames | ms per frame | calls per frame |"
    yield "|---|---:|---:|"
    entries = sorted(profile.getstats(), key=lambda entry: -entry.inlinetime)
    for entry in entries[:top]:
        own, calls = 1e3 * entry.inlinetime / len(frames), entry.callcount / len(frames)
        yield f"| `{_name(entry.code)}` | {own:.2f} | {calls:.1f} |"
    yield f"| together, while profiled | {1e3 * seconds / len(frames):.2f} | |"


def _name(code: CodeType | str) -> str:
    if isinstance(code, str):
        return code
    file = Path(code.co_filename)
    shown = file.relative_to(ROOT).as_posix() if file.is_relative_to(ROOT / "inference") else file.name
    return f"{shown}:{code.co_firstlineno} {code.co_qualname}"
