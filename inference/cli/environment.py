"""The virtual environments next to the code, and the system libraries that Blender's module links to.

Everything is made inside the checkout; the system is not changed. A stamp file in each environment holds the hash of
its requirements, so that the second run costs a few file reads. Standard library only.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .. import console, locks
from ..errors import VideoMotionError
from ..paths import ROOT

CACHE = ROOT / ".cache"
LOG = CACHE / "setup.log"
LIBRARIES = CACHE / "system-libraries"
PYTHON_TAG = f"{sys.version_info.major}.{sys.version_info.minor}"
LOG_LINES = 5
BATCH = ROOT / "addon" / "batch.py"
PIP_INSTALL = ("install", "--quiet", "--no-input", "--progress-bar", "off")


class SetupError(VideoMotionError):
    """The setup can't continue; the message says why and what to do."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment: its folder in the checkout, a file of requirements, and its description for the user."""

    folder: str
    requirements: str
    what: str
    size: str

    @property
    def path(self) -> Path:
        """The environment's folder."""
        return ROOT / self.folder

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.path / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def requirements_file(self) -> Path:
        """The file of exact versions."""
        return ROOT / "requirements" / f"{self.requirements}.txt"

    @property
    def stamp_file(self) -> Path:
        """Holds the hash of the requirements that are installed."""
        return self.path / f"ready-{self.requirements}"


CONVERT = Environment(".venv", "convert", "Blender's module, OpenCV, ONNX Runtime", "460 MB")
TEST = Environment(".venv", "test", "pytest, PyTorch and checkers", "380 MB")
PLOTS = Environment(".venv", "plots", "matplotlib", "30 MB")
CLUSTER = Environment(".venv", "cluster", "dask.distributed", "10 MB")
RELEASE = Environment(".venv", "release", "hatchling", "1 MB")
TEST_BPY = Environment(".venv-bpy-5.0.1", "bpy-5.0.1", "Blender 5.0.1's module for the tests", "450 MB")

PACKAGES = {
    "libGL.so.1": "libgl1",
    "libGLX.so.0": "libglx0",
    "libGLdispatch.so.0": "libglvnd0",
    "libICE.so.6": "libice6",
    "libSM.so.6": "libsm6",
    "libX11.so.6": "libx11-6",
    "libXau.so.6": "libxau6",
    "libXdmcp.so.6": "libxdmcp6",
    "libXext.so.6": "libxext6",
    "libXfixes.so.3": "libxfixes3",
    "libXi.so.6": "libxi6",
    "libXrender.so.1": "libxrender1",
    "libXt.so.6": "libxt6",
    "libXxf86vm.so.1": "libxxf86vm1",
    "libbsd.so.0": "libbsd0",
    "libgomp.so.1": "libgomp1",
    "libmd.so.0": "libmd0",
    "libxcb.so.1": "libxcb1",
    "libxkbcommon.so.0": "libxkbcommon0",
}
"""Debian's package for each library that Blender's module needs and a machine without a desktop lacks."""

PIP_PACKAGE = "python3-pip-whl"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def clean_variables() -> dict[str, str]:
    """Return the environment variables without those that would lead Python to other packages."""
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    # A user's "user = true" in pip's configuration is refused inside a virtual environment.
    variables["PIP_USER"] = "0"
    # The fit multiplies many small matrices, for which OpenBLAS is thirty times slower with several threads.
    variables.setdefault("OPENBLAS_NUM_THREADS", "1")
    return variables


def foreign_variables() -> dict[str, str]:
    """Return the environment variables for a program of the system, without what the launcher added for itself."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    folders = variables.pop("LD_LIBRARY_PATH", "").split(os.pathsep)
    if left := [folder for folder in folders if folder and not Path(folder).is_relative_to(LIBRARIES)]:
        variables["LD_LIBRARY_PATH"] = os.pathsep.join(left)
    return variables


def batch_command(blender: str | Path | None, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Return the command and the environment variables that run `addon/batch.py`.

    Args:
        blender: the Blender to run it in; None for this Python, with Blender's module.
        arguments: of `batch.py`.
    """
    if blender is None:
        program, variables = [sys.executable, BATCH], dict(os.environ)
    else:
        program = [blender, "--background", "--factory-startup", "--python-exit-code", "1", "--python", BATCH]
        variables = foreign_variables()
    return [str(word) for word in (*program, "--", *arguments)], variables


def ensure(wanted: Environment) -> Path:
    """Return the environment's interpreter, making or renewing the environment when its requirements have changed.

    Raises:
        SetupError: a step failed.
    """
    stamp = _stamp(wanted)
    if _is_ready(wanted, stamp):
        return wanted.python
    with _lock() as lock:
        if not _is_ready(wanted, stamp):
            _install(wanted, stamp, lock)
    return wanted.python


def ensure_libraries() -> list[Path]:
    """Return the folders of the libraries that Blender's module needs and the system lacks, fetching them once.

    Raises:
        SetupError: they are missing and can't be fetched.
    """
    if not sys.platform.startswith("linux"):
        return []
    checked = CONVERT.path / "libraries-checked"
    if not checked.exists():
        with _lock() as lock:
            missing = _missing_libraries()
            if missing:
                _fetch_libraries(missing, lock)
            checked.touch()
    return sorted({file.parent for file in LIBRARIES.rglob("*.so*")}) if LIBRARIES.exists() else []


def _stamp(wanted: Environment) -> str:
    return hashlib.sha256(wanted.requirements_file.read_bytes() + PYTHON_TAG.encode()).hexdigest()


def _is_ready(wanted: Environment, stamp: str) -> bool:
    try:
        return wanted.stamp_file.read_text() == stamp and wanted.python.exists() and not _unfinished(wanted).exists()
    except OSError:
        return False


def _unfinished(wanted: Environment) -> Path:
    """Exists while packages are installed: an interrupted run leaves the environment incomplete."""
    return wanted.path / "unfinished"


@contextmanager
def _lock() -> Iterator[int]:
    """Hold the checkout's lock; yield its descriptor, which children inherit so that they hold it too."""
    with ExitStack() as stack:
        try:
            CACHE.mkdir(exist_ok=True)
            waiting = partial(console.step, "Waiting for another run that is setting up")
            descriptor = stack.enter_context(locks.hold(CACHE / "setup.lock", waiting))
        except OSError as error:
            raise SetupError(
                f"{CACHE} can't be written ({error.strerror}): copy Video Motion to a folder that you own."
            ) from error
        yield descriptor


def _run(command: Sequence[str | Path], lock: int, failure: str, **variables: str) -> None:
    with LOG.open("a", encoding="utf-8") as log:
        log.write(f"$ {' '.join(map(str, command))}\n")
        log.flush()
        began = log.tell()
        try:
            result = subprocess.run(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=clean_variables() | variables,
                # Windows passes no descriptors on; there, a lock ends with the process that took it.
                pass_fds=() if os.name == "nt" else (lock,),
                check=False,
            )
        except OSError as error:
            raise SetupError(f"{failure}: {command[0]} can't be started ({error.strerror}).") from error
    if result.returncode:
        with LOG.open("rb") as log:
            log.seek(began)
            lines = log.read().decode(errors="replace").splitlines()
        for line in ([line for line in lines if line.startswith("ERROR")] or lines)[-LOG_LINES:]:
            console.say(f"  {line}")
        raise SetupError(f"{failure}: the lines above are the end of {LOG}.")


def _install(wanted: Environment, stamp: str, lock: int) -> None:
    if _unfinished(wanted).exists() or not _has_pip(wanted):
        _create(wanted, lock)
    with console.step(f"Installing {wanted.what} ({wanted.size})"):
        _unfinished(wanted).touch()
        _run(
            [*_pip(wanted), *PIP_INSTALL, "--requirement", wanted.requirements_file],
            lock,
            f"The packages of {wanted.requirements_file.name} can't be installed",
        )
        wanted.stamp_file.write_text(stamp)
        _unfinished(wanted).unlink()


def _pip(wanted: Environment) -> list[str | Path]:
    return [wanted.python, "-m", "pip", "--disable-pip-version-check"]


def _has_pip(wanted: Environment) -> bool:
    try:
        return subprocess.run([*_pip(wanted), "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _create(wanted: Environment, lock: int) -> None:
    shutil.rmtree(wanted.path, ignore_errors=True)
    with console.step(f"Making the virtual environment {wanted.folder}"):
        failure = f"The virtual environment {wanted.path} can't be made"
        # Debian's Python comes without ensurepip, which the usual way of installing pip needs.
        _run([sys.executable, "-m", "venv", "--without-pip", wanted.path], lock, failure)
        wheel = _pip_wheel(lock)
        _run([wanted.python, wheel / "pip", *PIP_INSTALL, "--no-index", wheel], lock, failure)


def _pip_wheel(lock: int) -> Path:
    """Return a wheel of pip: Python's own, Debian's, or one fetched from Debian's archive."""
    folders = [Path("/usr/share/python-wheels")]
    ensurepip = importlib.util.find_spec("ensurepip")
    if ensurepip is not None and ensurepip.origin is not None:
        folders.insert(0, Path(ensurepip.origin).parent / "_bundled")
    unpacked = CACHE / "pip"
    for folder in [*folders, unpacked / "usr" / "share" / "python-wheels"]:
        if wheels := sorted(folder.glob("pip-*.whl")):
            return wheels[-1]
    if shutil.which("apt-get") is None:
        raise SetupError(
            "This Python has no pip and no ensurepip: install the package that brings them (python3-venv)."
        )
    _fetch_debian(
        [PIP_PACKAGE], unpacked, lock, "This Python has no pip, and it can't be fetched: install python3-venv"
    )
    return next((unpacked / "usr" / "share" / "python-wheels").glob("pip-*.whl"))


def _missing_libraries() -> set[str]:
    """Names of the libraries that the loader does not find, of those that a Debian package brings."""
    files = [
        file
        for environment in (CONVERT, TEST_BPY)
        for file in environment.path.glob("lib/python*/site-packages/bpy/**/*.so*")
    ]
    ldd = shutil.which("ldd")
    if not files or ldd is None:
        return set()
    output = subprocess.run([ldd, *files], capture_output=True, text=True, errors="replace", check=False).stdout
    return set(re.findall(r"^\s*(\S+) => not found", output, re.MULTILINE)) & PACKAGES.keys()


def _fetch_libraries(missing: set[str], lock: int) -> None:
    names = sorted({PACKAGES[library] for library in missing})
    failure = f"Blender's module lacks system libraries: install the packages {' '.join(names)}"
    if shutil.which("apt-get") is None:
        raise SetupError(f"{failure}.")
    # One library missing means a machine without a desktop, where the ones it leads to are missing as well.
    with console.step("Fetching system libraries for Blender's module from Debian's archive (2 MB)"):
        _fetch_debian(sorted(PACKAGES.values()), LIBRARIES, lock, failure)


def _fetch_debian(packages: Sequence[str], folder: Path, lock: int, failure: str) -> None:
    """Unpack Debian packages into `folder`, which is complete or missing afterwards. Needs no root."""
    work = CACHE / "apt"
    shutil.rmtree(work, ignore_errors=True)
    for name in ("lists/partial", "archives/partial", "packages", "root"):
        (work / name).mkdir(parents=True)
    options = ["-o", f"Dir::State::Lists={work}/lists", "-o", f"Dir::Cache={work}/archives"]
    options += ["-o", "Debug::NoLocking=true", "-o", "APT::Sandbox::User="]
    _run(["apt-get", *options, "update"], lock, failure)
    download = ["apt-get", *options, "download", *packages]
    _run(["sh", "-c", 'cd "$0" && exec "$@"', work / "packages", *download], lock, failure)
    for package in sorted((work / "packages").glob("*.deb")):
        _run(["dpkg-deb", "--extract", package, work / "root"], lock, failure)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(work / "root", folder)
    shutil.rmtree(work)
