"""The command line, running inside a virtual environment with its packages."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from .. import console, registry
from ..batch import interruption
from ..batch.inputs import check_folder
from ..errors import VideoMotionError
from ..options import Options
from ..paths import IS_CHECKOUT
from . import arguments, benchmarks, convert, evaluation, testing, training
from .preparation import CommandError, prepare

FOR_CHECKOUTS = ("evaluate", "bench", "build-extension", "release", "train", "test")
"""Commands that need files which the installed package leaves out."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    chosen = arguments.parse(sys.argv[1:] if argv is None else argv)
    # The fit multiplies many small matrices, for which OpenBLAS is slower with several threads; NumPy is loaded later.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    commands = {
        "convert": convert.convert,
        "estimate": convert.estimate,
        "overlay": convert.overlay,
        "evaluate": evaluation.run,
        "bench": benchmarks.run,
        "weights": _weights,
        "build-extension": _build_extension,
        "release": _release,
        "train": training.run,
        "test": _test,
    }
    try:
        if chosen.command in FOR_CHECKOUTS and not IS_CHECKOUT:
            raise CommandError(
                f"{chosen.command} is not part of the installed package: get the source code and run ./video-motion"
                f" {chosen.command} there."
            )
        return commands[chosen.command](chosen)
    except (VideoMotionError, OSError) as error:
        console.say(f"video-motion: {error}")
        return 1
    except KeyboardInterrupt:
        console.say("video-motion: interrupted.")
        return interruption.STATUS


def _weights(chosen: argparse.Namespace) -> int:
    for file in chosen.add:
        print(f"added {registry.add_local(file).id}")
    if chosen.fetch:
        for item in registry.used_items():
            registry.path(item.id)
        registry.body_path()
    for state in registry.status():
        item = state.item
        origin = f"from {item.origin}; " if item.origin else ""
        print(f"{item.id}: {item.what}; {origin}{item.licence}; {console.megabytes(item.size)}; ", end="")
        print({"present": item.find(), "missing": "not here yet", "damaged": f"damaged: {item.path}"}[state.state])
    return 0


def _build_extension(chosen: argparse.Namespace) -> int:
    from . import extension

    check_folder(chosen.out)
    try:
        for file in extension.build(chosen.out, chosen.platform, chosen.flavour, chosen.bundle_cuda):
            print(f"{file}: {console.megabytes(file.stat().st_size)}", flush=True)
    except (extension.ExtensionError, OSError) as error:
        raise CommandError(str(error)) from error
    return 0


def _release(chosen: argparse.Namespace) -> int:
    from . import release

    check_folder(chosen.out)
    for file in release.make(chosen.out, chosen.platform, chosen.flavour, chosen.bundle_cuda):
        print(f"{file}: {console.megabytes(file.stat().st_size)}", flush=True)
    return 0


def _test(chosen: argparse.Namespace) -> int:
    prepare(Options())
    return testing.run(chosen.pytest_arguments)


if __name__ == "__main__":
    sys.exit(main())
