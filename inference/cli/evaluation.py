"""The command `evaluate`."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from .. import options
from ..batch.inputs import check_folder
from ..estimators import DEFAULT, NETWORKS
from ..options import Options
from .preparation import prepare
from .types import LAYOUTS, Commands, add_device, command, count
from .working import add_workers, work


def add_commands(commands: Commands) -> None:
    """Describe `evaluate`."""
    evaluate = command(
        commands,
        "evaluate",
        "score the motion of a clip",
        "Score the estimated motion, and BlazePose's own world landmarks, against the true motion.",
    )
    evaluate.add_argument("clip", type=Path, nargs="?", metavar="CLIP", help="a video (default: the sample clip)")
    evaluate.add_argument("truth", type=Path, nargs="?", metavar="TRUTH", help="the motion file that it was made from")
    evaluate.add_argument("--no-truth", action="store_true", help="measure what can be measured without a true motion")
    evaluate.add_argument(
        "--motion",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="score these motion files of the clip instead of estimating",
    )
    evaluate.add_argument(
        "--cameras",
        type=Path,
        metavar="FOLDER",
        help="score on the synchronised videos of calibrated cameras in this folder instead, and the cameras against"
        " each other",
    )
    evaluate.add_argument(
        "--calibration",
        type=Path,
        metavar="FILE",
        help="of the cameras: Qualisys' .qca.txt, or TOML of Pose2Sim or Anipose (default: the one in the folder)",
    )
    evaluate.add_argument(
        "--truth",
        dest="true_joints",
        type=Path,
        metavar="FILE",
        help="the true joints in the calibration's world, .npz (default: triangulated from all cameras' landmarks)",
    )
    evaluate.add_argument(
        "--scenes",
        type=Path,
        nargs="?",
        const=Path(),
        metavar="FILE",
        help="score on rendered scenes with moving cameras, in the world, instead: all recipes of this file (default:"
        " those that come with the program), with the recordings of --data, where the pictures are kept",
    )
    evaluate.add_argument(
        "--hands",
        type=count,
        nargs="?",
        const=4,
        metavar="N",
        help="score fingers on N drawn clips of gesturing people instead (default: 4)",
    )
    evaluate.add_argument(
        "--faces",
        type=count,
        nargs="?",
        const=4,
        metavar="N",
        help="score faces on N drawn clips of people who make faces instead (default: 4)",
    )
    evaluate.add_argument("--only", nargs="+", metavar="SCENE", help="only these scenes of --scenes")
    evaluate.add_argument(
        "--layout",
        choices=LAYOUTS,
        help="score on the test set of this data set instead",
    )
    evaluate.add_argument("--root", type=Path, metavar="FOLDER", help="folder of the data set of --layout")
    evaluate.add_argument("--clips", type=count, metavar="N", help="maximum number of the data set's clips")
    evaluate.add_argument(
        "--smpl",
        type=Path,
        metavar="FOLDER",
        help="SMPL_NEUTRAL, SMPL_MALE and SMPL_FEMALE, .npz or .pkl, for data sets whose truth is SMPL, and --data made"
        " of them",
    )
    evaluate.add_argument(
        "--data", type=Path, metavar="FOLDER", help="score on the validation split of these training data instead"
    )
    evaluate.add_argument("--sequences", type=count, metavar="N", help="maximum number of sequences of the data")
    evaluate.add_argument(
        "--network",
        choices=NETWORKS,
        nargs="+",
        default=[DEFAULT, "landmarks"],
        metavar="NAME",
        help=f"what estimates the motion, after CLIP and TRUTH: {', '.join(NETWORKS)} (default: {DEFAULT} landmarks)",
    )
    evaluate.add_argument("--true-focal", action="store_true", help="give the estimators the true focal length")
    evaluate.add_argument(
        "--true-camera", action="store_true", help="give the estimators the true camera of --scenes, and so its world"
    )
    add_workers(evaluate, 1)
    options.add_argument(evaluate, "weights")
    options.add_argument(evaluate, "quality")
    add_device(evaluate)
    evaluate.add_argument(
        "--out", type=Path, metavar="FOLDER", help="write the table there as JSON and Markdown, with plots"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the scores; return the exit status."""
    from ..research.evaluation import evaluate

    check_folder(arguments.out)
    prepare(Options(quality=arguments.quality))
    if arguments.hands is not None:
        from ..research.evaluation import hands

        for line in hands.score(arguments.hands, arguments.device):
            print(line)
        return 0
    if arguments.faces is not None:
        from ..research.evaluation import faces

        for line in faces.score(arguments.faces, arguments.device):
            print(line)
        return 0
    evaluate.run(arguments, partial(work, chosen=arguments))
    return 0
