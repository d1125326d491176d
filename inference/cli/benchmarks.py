"""The command `bench`."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..estimators import DEFAULT
from .preparation import prepare
from .types import Commands, command, count


def add_commands(commands: Commands) -> None:
    """Describe `bench` and what it measures."""
    bench = command(commands, "bench", "measure speed or memory", "Measure on the sample clip, or on a video of yours.")
    measures = bench.add_subparsers(dest="what", required=True, metavar="WHAT", title="what to measure")
    speed = command(measures, "speed", "frames per second of each stage", "Time the stages of `convert`.")
    speed.add_argument(
        "--mediapipe", action="store_true", help="time MediaPipe's own pipeline on the same frames after it"
    )
    people = command(
        measures,
        "people",
        "the people station compared with MediaPipe",
        "Time the people station and MediaPipe itself, alternating on the same frames. The first run fetches MediaPipe"
        " into a separate environment.",
    )
    people.add_argument(
        "--max-people",
        type=count,
        default=6,
        metavar="N",
        help="people that we follow at most; MediaPipe follows 1 (default: 6, as `convert`)",
    )
    people.add_argument("--threads", type=count, default=2, metavar="N", help="threads of our networks (default: 2)")
    people.add_argument("--limit", type=count, metavar="N", help="maximum number of frames")
    memory = command(
        measures,
        "memory",
        "peak memory of a short and a long video",
        "Measure the peak memory of `estimate` on 300 and on 3,000 frames of the video, repeated as often as needed.",
    )
    estimators = command(
        measures,
        "networks",
        "size and speed of all estimators",
        "Count the parameters and operations of each network, and time it and `estimate` with it on the video.",
    )
    for measure in (speed, people, memory, estimators):
        measure.add_argument("video", type=Path, nargs="?", metavar="VIDEO", help="footage (default: the sample clip)")


def run(arguments: argparse.Namespace) -> int:
    """Print the measurements; return the exit status."""
    from ..research.benchmarks import bench

    prepare(None, DEFAULT)
    video = arguments.video or bench.SAMPLE
    if arguments.what == "people":
        lines = bench.people(video, arguments.max_people, arguments.limit, arguments.threads)
    elif arguments.what == "speed":
        lines = bench.speed(video, arguments.mediapipe)
    elif arguments.what == "networks":
        lines = bench.networks(video)
    else:
        lines = bench.memory(video)
    for line in lines:
        print(line, flush=True)
    return 0
