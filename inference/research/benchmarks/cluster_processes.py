"""A Dask cluster on this machine: a scheduler and workers as processes of their own, which can be killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import distributed
import psutil

from ...paths import ROOT
from .runs import BenchError

START_SECONDS = 300.0


class LocalCluster:
    """A scheduler, and workers that are started one by one; a context that ends all of them.

    Args:
        folder: of the workers' files and of the logs.
        variables: environment variables in addition.

    Attributes:
        address: the scheduler's.
        workers: the workers by name.
    """

    def __init__(self, folder: Path, **variables: str):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._variables = {
            **os.environ,
            # A machine that is not there any more is noticed so soon only for the sake of short runs.
            "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "5 seconds",
            "DASK_DISTRIBUTED__WORKER__PROFILE__INTERVAL": "1 hour",
            **variables,
        }
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        information = folder / "scheduler.json"
        self._variables.pop("PYTHONPATH", None)
        words = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        self.scheduler = self._start("scheduler", [*words, "--scheduler-file", str(information)])
        # The scheduler does without our code.
        self._variables["PYTHONPATH"] = str(ROOT)
        ends = time.monotonic() + START_SECONDS
        while not information.exists() or not (text := information.read_text()).rstrip().endswith("}"):
            if time.monotonic() > ends or self.scheduler.poll() is not None:
                self.close()
                raise BenchError(f"No scheduler can be started here: {folder / 'scheduler.log'} says why.")
            time.sleep(0.05)
        self.address: str = json.loads(text)["address"]

    def start_worker(self, name: str, shell: str = "", **variables: str) -> subprocess.Popen[bytes]:
        """Start a worker of one thread.

        Args:
            name: its name, and that of its folder.
            shell: what a shell does first in its own namespace of mounts; the worker's folder is $1. Root only.
            variables: environment variables in addition.
        """
        place = self.folder / name
        place.mkdir(exist_ok=True)
        words = ["worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--name", name]
        words += ["--memory-limit", "0", "--local-directory", str(place), "--host", "127.0.0.1"]
        script = f'{shell} && shift && exec "$@"'
        before = ["unshare", "--mount", "bash", "-c", script, "bash", str(place)] if shell else []
        self.workers[name] = self._start(name, words, before, variables)
        return self.workers[name]

    def wait(self, count: int) -> None:
        """Wait until the scheduler knows so many workers. Raises BenchError."""
        with distributed.Client(self.address, set_as_default=False) as client:
            ends = time.monotonic() + START_SECONDS
            while len(client.scheduler_info(n_workers=-1)["workers"]) != count:
                if time.monotonic() > ends:
                    raise BenchError(f"Workers can't be started here: the logs in {self.folder} say why.")
                time.sleep(0.05)

    def kill(self, name: str) -> None:
        """Kill a worker at once, as if its machine were switched off."""
        worker = self.workers.pop(name)
        for one in (psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)):
            one.kill()
        worker.wait()

    def cpu_seconds(self) -> float:
        """Seconds of CPU time that the scheduler has taken."""
        times = psutil.Process(self.scheduler.pid).cpu_times()
        return times.user + times.system

    def close(self) -> None:
        """End everything at once."""
        for name in list(self.workers):
            self.kill(name)
        self.scheduler.kill()
        self.scheduler.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(
        self, log: str, words: Sequence[str], before: Sequence[str] = (), variables: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        with (self.folder / f"{log}.log").open("wb") as output:
            return subprocess.Popen(
                [*before, sys.executable, "-P", "-m", "dask", *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._variables | dict(variables or {}),
            )
