"""The command `bench`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from .. import options
from ..estimators import LANDMARKS
from ..options import MAX_PEOPLE, Options
from .preparation import prepare
from .types import Commands, command, count

MEDIAPIPE = "The first run with MediaPipe fetches it into a separate environment."


def add_commands(commands: Commands) -> None:
    """Describe `bench` and what it measures."""
    bench = command(commands, "bench", "measure speed or memory", "Measure on the sample clip, or on a video of yours.")
    measures = bench.add_subparsers(dest="what", required=True, metavar="WHAT", title="what to measure")
    speed = command(
        measures,
        "speed",
        "each stage of `convert`, and MediaPipe's 2D",
        "Time the stages of `convert` in each quality on each device, and MediaPipe's own 2D pipeline on the same"
        f" frames. {MEDIAPIPE}",
    )
    people = command(
        measures,
        "people",
        "the people station compared with MediaPipe",
        "Time the people station in each quality and MediaPipe itself, by turns on the same frames, on the CPU."
        f" {MEDIAPIPE}",
    )
    people.add_argument(
        "--max-people",
        type=count,
        default=MAX_PEOPLE,
        metavar="N",
        help=f"people that we follow at most; MediaPipe follows 1 (default: {MAX_PEOPLE}, as `convert`)",
    )
    for measure in (speed, people):
        measure.add_argument(
            "--mediapipe",
            action=argparse.BooleanOptionalAction,
            default=True,
            help="compare with MediaPipe",
        )
        measure.add_argument(
            "--heavy",
            type=Path,
            metavar="FILE",
            help="pose_landmark_heavy.tflite, which MediaPipe's package lacks: compare with model complexity 2 too",
        )
    profile = command(
        measures,
        "profile",
        "where the people station's time goes",
        "List the functions in which the people station spends most time on the CPU, without that of those they call.",
    )
    profile.add_argument("--top", type=count, default=25, metavar="N", help="functions to list (default: 25)")
    options.add_argument(profile, "quality")
    for measure in (people, profile):
        measure.add_argument("--limit", type=count, default=300, metavar="N", help="frames at most (default: 300)")
    details = command(
        measures,
        "details",
        "what hands and faces cost",
        "Time `convert` with and without looking at hands and faces, by turns, in each quality.",
    )
    camera = command(
        measures,
        "camera",
        "what finding the camera's way costs",
        "Time `estimate`, without hands and faces, with a camera that is given and with one that is found, by turns, in"
        " each quality.",
    )
    for measure in (details, camera):
        measure.add_argument(
            "--rounds", type=count, default=3, metavar="N", help="runs of each; the least counts (default: 3)"
        )
    memory = command(
        measures,
        "memory",
        "peak memory of a short and a long video",
        "Measure the peak memory of `estimate` on numbers of frames of the video, repeated as often as needed.",
    )
    memory.add_argument(
        "--frames",
        type=count,
        nargs="+",
        default=[300, 3000],
        metavar="N",
        help="lengths of the videos (default: 300 3000)",
    )
    memory.add_argument(
        "--quality", nargs="+", choices=list(LANDMARKS), default=list(LANDMARKS), help="which ones (default: each)"
    )
    memory.add_argument(
        "--details", action=argparse.BooleanOptionalAction, default=True, help="look at hands and faces"
    )
    cuda = command(
        measures,
        "cuda",
        "speed on a GPU, and the same motion as on the CPU",
        "Time `estimate` on the first GPU on the video repeated in 720p, and compare speed and motion with the CPU's on"
        " its first frames. Takes less than five minutes. Without a GPU only the CPU is timed.",
    )
    cuda.add_argument("--frames", type=count, default=600, metavar="N", help="frames on the GPU (default: 600)")
    estimators = command(
        measures,
        "networks",
        "size and speed of all estimators",
        "Count the parameters and operations of each network, and time it and `estimate` with it on the video.",
    )
    cluster = command(
        measures,
        "cluster",
        "a batch on a Dask cluster of this machine",
        "Run short clips of the video through a scheduler and workers on this machine: with workers that are killed,"
        " with 1, 2 and 4 workers, and with tasks that do nothing, for what it costs to lead them.",
    )
    cluster.add_argument("--clips", type=count, default=200, metavar="N", help="clips at most (default: 200)")
    for measure in (speed, people, profile, details, camera, memory, cuda, estimators, cluster):
        measure.add_argument("video", type=Path, nargs="?", metavar="VIDEO", help="footage (default: the sample clip)")


def run(arguments: argparse.Namespace) -> int:
    """Print the measurements; return the exit status."""
    prepare(Options())
    for line in _lines(arguments):
        print(line, flush=True)
    return 0


def _lines(chosen: argparse.Namespace) -> Iterator[str]:
    from ..research.benchmarks import camera, cuda, details, memory, networks, people, profiling, runs, speed

    video = chosen.video or runs.SAMPLE
    match chosen.what:
        case "cluster":
            # Needs packages that the others don't.
            from ..research.benchmarks import cluster

            return cluster.measure(video, chosen.clips)
        case "speed":
            return speed.measure(video, chosen.mediapipe, chosen.heavy)
        case "people":
            return people.measure(video, chosen.max_people, chosen.limit, chosen.mediapipe, chosen.heavy)
        case "profile":
            return profiling.measure(video, chosen.quality, chosen.limit, chosen.top)
        case "details":
            return details.measure(video, chosen.rounds)
        case "camera":
            return camera.measure(video, chosen.rounds)
        case "memory":
            return memory.measure(video, chosen.frames, chosen.quality, chosen.details)
        case "cuda":
            return cuda.measure(video, frames=chosen.frames)
        case _:
            return networks.measure(video)
