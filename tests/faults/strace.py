"""What a program asked of the system, as strace saw it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from .reading import ROOT

CALLS = "%network,open,openat,openat2,creat,mkdir,mkdirat,mknod,mknodat,rename,renameat,renameat2,unlink,unlinkat,rmdir"
CALLS += ",link,linkat,symlink,symlinkat,truncate,chmod,fchmodat,chown,fchownat,execve"


def _works() -> bool:
    program = shutil.which("strace")
    # Containers may forbid it.
    return (
        program is not None and not subprocess.run([program, "-qq", "-o", os.devnull, "true"], check=False).returncode
    )


needs_strace = pytest.mark.skipif(not _works(), reason="Needs strace, and to be allowed to use it.")


def traced(command: list[str], trace: Path, given: str = "", **variables: str) -> tuple[list[tuple[str, str]], str]:
    """Run a command.

    Args:
        command: to run.
        trace: a file for what strace tells.
        given: on its standard input.
        variables: of the environment.

    Returns:
        The calls that it and its children made, with the rest of each line, and what it wrote on standard output.
    """
    strace = ["strace", "-f", "--seccomp-bpf", "-qq", "-y", "-e", f"trace={CALLS}", "-e", "signal=none", "-o", trace]
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    result = subprocess.run(
        [*strace, *command], input=given, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    lines = trace.read_text(errors="replace").splitlines()
    return [(found[1], found[2]) for line in lines if (found := re.match(r"\d+ +(\w+)\((.*)", line))], result.stdout
