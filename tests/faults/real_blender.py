"""The newest of the real Blenders that `tests/real_blender/run` makes, started like an installed program."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from video_motion.inference import registry

from .reading import ROOT

SYSTEMS = Path(
    os.environ.get("VIDEO_MOTION_BLENDERS")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "video-motion"
)
SYSTEM = SYSTEMS / "blender-sid"


def why_not() -> str:
    """Why there is no real Blender to start; empty where there is one."""
    if not hasattr(os, "geteuid") or os.geteuid() or not (SYSTEM / "complete").exists():
        return "needs root and the Blender of Debian sid that tests/real_blender/run makes"
    if any(str(Path(one).resolve()).startswith("/usr/") for one in (sys.prefix, sys.base_prefix)):
        return "needs a Python that is not the system's, for Debian sid has another one in its place"
    return ""


def program(folder: Path) -> Path:
    """Write a program that is Blender in its Debian, with our files and the folder of tests in their places."""
    wanted = [ROOT, Path(sys.prefix), Path(sys.base_prefix), registry.cache_folder(), folder]
    places = list(dict.fromkeys(str(one.resolve()) for one in wanted))
    lines = ["mount --make-rprivate /", f"mount -t proc proc {shlex.quote(f'{SYSTEM}/proc')}"]
    for place in (*places, "/dev"):
        there = f"{SYSTEM}{place}"
        lines += [shlex.join(["mkdir", "-p", there]), shlex.join(["mount", "--rbind", place, there])]
    plain = ["env", "-u", "PYTHONPATH", "-u", "LD_LIBRARY_PATH", "HOME=/tmp", "blender"]
    lines.append(f'exec {shlex.join(["chroot", str(SYSTEM), *plain])} "$@"')
    inside, file = folder / "inside.sh", folder / "blender"
    inside.write_text("\n".join(["set -euo pipefail", *lines, ""]))
    # The shells become Blender: killed it is as any other program.
    file.write_text(f'#!/bin/bash\nexec unshare --mount bash {shlex.quote(str(inside))} "$@"\n')
    file.chmod(0o755)
    return file
