"""The processors that networks can run on, and why an expected one can't be used.

Standard library and ONNX Runtime only.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import onnxruntime

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
DIRECTML, COREML = "DmlExecutionProvider", "CoreMLExecutionProvider"

_SYSTEM_PROVIDERS: Mapping[str, tuple[str, str]] = {
    DIRECTML: ("directml", "GPU by DirectML"),
    COREML: ("coreml", "GPU by Core ML"),
}
"""Listed only where the installed ONNX Runtime has them."""

_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_NAME_BYTES = 256

_LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "linux": (
        "libcudart.so.13",
        "libcublasLt.so.13",
        "libcublas.so.13",
        "libcurand.so.10",
        "libcufft.so.12",
        "libcudnn.so.9",
    ),
    "win32": ("cudart64_13.dll", "cublasLt64_13.dll", "cublas64_13.dll", "cufft64_12.dll", "cudnn64_9.dll"),
}
"""What ONNX Runtime loads for CUDA 13, each after those that it needs, by `sys.platform`."""


@dataclass(frozen=True)
class Device:
    """A processor.

    Attributes:
        id: what `Session` takes: `cpu`, `cuda:0` and so on, `directml` or `coreml`.
        name: for display.
        available: whether networks can run there.
        why_not: if not, why, in a sentence that says what to do; else empty.
    """

    id: str
    name: str
    available: bool
    why_not: str = ""


@dataclass(frozen=True)
class _Driver:
    """NVIDIA's driver: the CUDA version that it supports (0.0: there is no driver) and the names of the GPUs."""

    version: tuple[int, int]
    names: tuple[str, ...]


def has_cuda() -> bool:
    """Whether this ONNX Runtime was built for CUDA, so that a user expects the GPU to be used."""
    return CUDA in onnxruntime.get_available_providers()


def devices() -> list[Device]:
    """Return the CPU and every GPU; without a GPU, one entry for CUDA states why."""
    names = _driver().names or ("NVIDIA GPU",)
    result = [Device("cpu", "CPU", available=True)]
    for number, name in enumerate(names):
        why_not = why_not_cuda(number)
        result.append(Device(f"cuda:{number}", name, not why_not, why_not))
    for provider, (device, name) in _SYSTEM_PROVIDERS.items():
        if not why_not_provider(provider):
            result.append(Device(device, name, available=True))
    return result


def why_not_provider(provider: str) -> str:
    """Return why this ONNX Runtime can't use a provider, in a sentence that says what to do; empty if it can."""
    if provider in onnxruntime.get_available_providers():
        return ""
    name = provider.removesuffix("ExecutionProvider")
    return f"This ONNX Runtime has no {name}: install a build of ONNX Runtime that has it, or use the CPU."


def why_not_cuda(number: int) -> str:
    """Return why networks can't run on a GPU, in a sentence that says what to do; empty if they can.

    This loads CUDA's libraries, so that ONNX Runtime finds them.
    """
    if sys.platform not in _LIBRARIES:
        return "CUDA doesn't exist for this system: use the CPU."
    if not has_cuda():
        return (
            "This ONNX Runtime is made for the CPU only: install Video Motion's CUDA edition, or the package"
            " onnxruntime-gpu, to use the GPU."
        )
    needed, driver = _needed_version(), _driver()
    wanted = ".".join(map(str, needed))
    if driver.version == (0, 0):
        return f"No NVIDIA driver was found: install one that supports CUDA {wanted}, or use the CPU."
    if driver.version < needed:
        has = ".".join(map(str, driver.version))
        return f"The NVIDIA driver supports CUDA {has}, and CUDA {wanted} is needed: update the driver, or use the CPU."
    if not driver.names:
        return "The NVIDIA driver finds no GPU: check that one is there and switched on, or use the CPU."
    if number >= len(driver.names):
        return f"There is no GPU cuda:{number}, the last one is cuda:{len(driver.names) - 1}: choose another."
    if missing := _missing_libraries():
        return (
            f"CUDA {needed[0]} or cuDNN 9 is not installed ({', '.join(missing)} not found): install both, or the"
            " edition of Video Motion that holds them, or use the CPU."
        )
    return ""


def _needed_version() -> tuple[int, int]:
    major, minor = onnxruntime.cuda_version.split(".")[:2]
    return int(major), int(minor)


@cache
def _driver() -> _Driver:
    try:
        library = ctypes.CDLL(_DRIVER)
    except OSError:
        return _Driver((0, 0), ())
    version, count, name = ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(_NAME_BYTES)
    library.cuDriverGetVersion(ctypes.byref(version))
    names = []
    if library.cuInit(0) == 0 and library.cuDeviceGetCount(ctypes.byref(count)) == 0:
        for number in range(count.value):
            device = ctypes.c_int()
            library.cuDeviceGet(ctypes.byref(device), number)
            library.cuDeviceGetName(name, _NAME_BYTES, device)
            names.append(name.value.decode(errors="replace"))
    return _Driver((version.value // 1000, version.value % 1000 // 10), tuple(names))


@cache
def _missing_libraries() -> tuple[str, ...]:
    # It finds the libraries of NVIDIA's Python packages, and prints what it does not find.
    with contextlib.redirect_stdout(io.StringIO()):
        onnxruntime.preload_dlls()
    return tuple(name for name in _LIBRARIES[sys.platform] if not _loads(name))


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
