"""What `./video-motion` does before a command runs: virtual environments, Blender's system libraries, then the command.

Standard library only; it runs under the Python that the user has.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .. import console
from ..batch import interruption
from . import arguments, environment


def main(argv: Sequence[str]) -> int:
    """Set up the command's environment, then replace this process by the command; where that is impossible, run it."""
    chosen = arguments.parse(argv)
    try:
        return _exec(chosen, argv)
    except environment.SetupError as error:
        console.say(f"video-motion: {error}")
        return 1
    except KeyboardInterrupt:
        console.say("video-motion: interrupted; the next run continues the setup.")
        return interruption.STATUS


def _exec(chosen: argparse.Namespace, argv: Sequence[str]) -> int:
    python = environment.ensure(environment.CONVERT)
    if chosen.command in ("test", "train"):
        environment.ensure(environment.TEST)
    if chosen.command == "evaluate" and chosen.out is not None:
        environment.ensure(environment.PLOTS)
    if chosen.command == "release":
        environment.ensure(environment.RELEASE)
    if getattr(chosen, "scheduler", None) is not None or getattr(chosen, "what", None) == "cluster":
        environment.ensure(environment.CLUSTER)
    libraries = environment.ensure_libraries()
    command = [str(python), "-P", "-m", "video_motion.inference.cli", *argv]
    if os.name != "nt":
        os.execve(python, command, _variables(libraries))
    # Windows' exec would release the terminal before the command has ended. Ctrl-C reaches the command by itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return subprocess.run(command, env=_variables(libraries), check=False).returncode


def _variables(libraries: Sequence[Path]) -> dict[str, str]:
    variables = environment.clean_variables()
    variables["PYTHONPATH"] = str(environment.ROOT)
    if os.name == "nt":
        variables["PYTHONUTF8"] = "1"
    if libraries:
        inherited = variables.get("LD_LIBRARY_PATH")
        variables["LD_LIBRARY_PATH"] = os.pathsep.join([*map(str, libraries), *([inherited] if inherited else [])])
    return variables
