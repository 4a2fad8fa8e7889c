"""What one worker does: it trains a network with several seeds, or diagnoses it afterwards."""

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
    """A network, and the seeds with which it is still to be trained, or to be diagnosed."""

    network: Network
    seeds: tuple[int, ...]
    epochs: int
    folder: Path
    diagnoses: bool = False

    @property
    def cost(self) -> float:
        """Roughly its seconds on one core, for the time left and the order of jobs."""
        if self.diagnoses:
            return 8 * len(self.seeds)
        if self.network.data == "digits":
            return len(self.seeds) * (12 + self.network.evaluations * self.epochs / 30)
        each = 0.03 if self.network.normalization in ("after", "none") else 0.05
        each *= 1.6 if self.network.method == "rk8" else 1
        return 7 + each * len(self.seeds) * self.network.evaluations * self.epochs / 200


@dataclass(frozen=True)
class Result:
    """What came of a job.

    Attributes:
        outcome: in words.
        error: the traceback if it failed.
    """

    job: Job
    outcome: str
    error: str | None = None


def prepare() -> None:
    """What has to be set before Keras and JAX are imported."""
    os.environ["KERAS_BACKEND"] = "jax"
    os.environ.setdefault("XLA_FLAGS", ONE_THREAD)
    # Keras imports TensorFlow, where it is there, to seed it.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


def work(job: Job) -> Result:
    """Does a job; an error in it leaves the others alone."""
    prepare()
    try:
        return Result(job, diagnosed(job) if job.diagnoses else trained(job))
    except Exception as error:
        outcome = f"FAILED: {type(error).__name__}: {error}"
        return Result(job, outcome, error=traceback.format_exc())
    finally:
        clear()


def trained(job: Job) -> str:
    """Trains a network and keeps its records."""
    if job.network.data == "digits":
        from digits import train
    else:
        from training import train
    results = train(job.network, list(job.seeds), job.epochs)
    folder = Folder(job.folder)
    for seed, (record, weights) in zip(job.seeds, results, strict=True):
        folder.keep(job.network, seed, record, weights)
    shown = " ".join(f"{record['test_accuracy']:.3f}" for record, _ in results)
    return f"test accuracy {shown}"


def diagnosed(job: Job) -> str:
    """Asks whether a trained network is an ODE."""
    from ode import diagnose

    found = [diagnose(Folder(job.folder), job.network, seed) for seed in job.seeds]
    distances = [one["constant"]["distance"] for one in found]
    return "distance from the limit " + " ".join(
        "not finite" if distance is None else f"{distance:.2g}" for distance in distances
    )


def clear() -> None:
    """Forgets compiled functions: each network has its own."""
    import jax
    import keras

    jax.clear_caches()
    keras.utils.clear_session()
