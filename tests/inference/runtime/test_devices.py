"""Where networks run, and what is reported where they can't. Drivers are small libraries that answer like NVIDIA's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from video_motion.inference import registry
from video_motion.inference.runtime import devices
from video_motion.inference.runtime.session import NetworkError, Session

ROOT = Path(__file__).parents[3]

DRIVER = """
#include <string.h>
int cuDriverGetVersion(int *version) { *version = VERSION; return 0; }
int cuInit(unsigned flags) { return GPUS ? 0 : 100; }
int cuDeviceGetCount(int *count) { *count = GPUS; return 0; }
int cuDeviceGet(int *device, int number) { *device = number; return 0; }
int cuDeviceGetName(char *name, int size, int device) { strcpy(name, "GPU No. 0"); name[8] += device; return 0; }
"""

ASK = """
import json, sys
from pathlib import Path
from video_motion.inference.runtime.devices import devices
from video_motion.inference.runtime.session import Session
session = Session(Path(sys.argv[1]))
print(json.dumps({"devices": [vars(one) for one in devices()], "device": session.device, "notice": session.notice}))
"""


def ask(folder: Path, version: int, gpus: int) -> dict[str, Any]:
    """What is reported on a machine with a driver for this version of CUDA (13000 is 13.0) and so many GPUs."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs a C compiler on Linux")
    (folder / "driver.c").write_text(DRIVER)
    answers = [f"-DVERSION={version}", f"-DGPUS={gpus}"]
    files = ["-o", folder / "libcuda.so.1", folder / "driver.c"]
    subprocess.run([compiler, "-shared", "-fPIC", *answers, *files], check=True)
    result = subprocess.run(
        [sys.executable, "-c", ASK, registry.path("tar")],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "LD_LIBRARY_PATH": str(folder)},
        check=True,
    )
    (line,) = result.stdout.splitlines()
    return json.loads(line)


def test_there_is_always_a_cpu_and_an_answer_about_cuda():
    cpu, *others = devices.devices()
    assert (cpu.id, cpu.available, cpu.why_not) == ("cpu", True, "")
    assert others[0].id == "cuda:0"
    for device in others:
        assert device.name
        assert device.available == (device.why_not == "")


def test_every_gpu_is_named(tmp_path: Path):
    _, *gpus = ask(tmp_path, 13000, 2)["devices"]
    assert [(gpu["id"], gpu["name"]) for gpu in gpus] == [("cuda:0", "GPU No. 0"), ("cuda:1", "GPU No. 1")]


@pytest.mark.skipif(devices.has_cuda(), reason="This build of ONNX Runtime has CUDA.")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:3"])
def test_a_build_for_the_cpu_says_so(device: str):
    session = Session(registry.path("tar"))
    assert (session.device, session.notice) == ("cpu", None)
    assert Session(registry.path("tar"), "cpu").notice is None
    with pytest.raises(NetworkError, match="made for the CPU only: install Video Motion's CUDA edition"):
        Session(registry.path("tar"), device)


@pytest.mark.skipif(not devices.has_cuda(), reason="This build of ONNX Runtime has no CUDA.")
@pytest.mark.parametrize(
    ("version", "gpus", "why"),
    [
        (12040, 1, "The NVIDIA driver supports CUDA 12.4, and CUDA 13.0 is needed: update the driver"),
        (13000, 0, "The NVIDIA driver finds no GPU"),
        (13020, 1, "CUDA 13 or cuDNN 9 is not installed (lib"),
    ],
)
def test_a_build_for_cuda_says_why_it_runs_on_the_cpu(version: int, gpus: int, why: str, tmp_path: Path):
    reported = ask(tmp_path, version, gpus)
    assert reported["device"] == "cpu"
    assert reported["notice"].startswith(f"The network runs on the CPU. {why}")
    assert not reported["devices"][1]["available"]
    assert reported["devices"][1]["why_not"].startswith(why)
