"""What one worker does: it trains one network with several seeds, and keeps the results."""

from __future__ import annotations

import os
import traceback
from dataclasses import dataclass
from pathlib import Path

from grid import Network
from records import Folder

# One thread for each worker: these networks are too small for more.
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


@dataclass(frozen=True)
class Job:
    """A network and the seeds with which it is still to be trained."""

    network: Network
    seeds: tuple[int, ...]
    epochs: int
    folder: Path

    @property
    def cost(self) -> float:
        """Roughly its seconds on one core, for the time left and the order of jobs."""
        if self.network.data == "digits":
            return len(self.seeds) * (12 + self.network.evaluations * self.epochs / 30)
        each = 0.03 if self.network.normalization in ("after", "none") else 0.05
        return 4 + each * len(self.seeds) * self.network.evaluations * self.epochs / 200


@dataclass(frozen=True)
class Result:
    """What came of a job.

    Attributes:
        accuracies: on the test points, for each seed.
        error: the traceback if it failed.
    """

    job: Job
    accuracies: tuple[float, ...] = ()
    error: str | None = None


def prepare() -> None:
    """What has to be set before Keras and JAX are imported."""
    os.environ["KERAS_BACKEND"] = "jax"
    os.environ.setdefault("XLA_FLAGS", ONE_THREAD)
    # Keras imports TensorFlow, where it is there, to seed it.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


def work(job: Job) -> Result:
    """Trains and keeps; an error in one job leaves the others alone."""
    prepare()
    try:
        import jax

        if job.network.data == "digits":
            from digits import train
        else:
            from training import train
        trained = train(job.network, list(job.seeds), job.epochs)
        folder = Folder(job.folder)
        for seed, (record, weights) in zip(job.seeds, trained, strict=True):
            folder.keep(job.network, seed, record, weights)
        jax.clear_caches()  # each network compiles functions of its own
        return Result(job, tuple(record["test_accuracy"] for record, _ in trained))
    except Exception:
        return Result(job, error=traceback.format_exc())
