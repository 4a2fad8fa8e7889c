"""A Runge-Kutta network in two PyTorch processes, each with half of every batch.

    python examples/distributed/torch_ddp.py

The program starts both processes, which exchange gradients by gloo on the CPU; for GPUs, take
"nccl" and put each process on its own. Needs PyTorch: `pip install "keras-rk[torch]"`.

Each process runs the network on its own half of the batch. Batch normalization would normalize
with the statistics of that half (and keep moving statistics of its own), and its losses differ
from those of one process, not by an error: it is another network. Layer normalization, which
looks at one point at a time, does not see how the batch is divided.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

try:
    import torch
except ImportError as error:
    raise SystemExit('This example needs PyTorch: pip install "keras-rk[torch]"') from error

import keras
from network import BATCH, EPOCHS, compare, network, points
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

PROCESSES = 2


def losses(rank: int = 0, processes: int = 1) -> list[float]:
    """The loss of each epoch, over the whole batches of which this process has a part."""
    x, y = (torch.as_tensor(array) for array in points())
    model = network(keras.layers.LayerNormalization)
    module = DistributedDataParallel(model) if processes > 1 else model
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    history = []
    for _ in range(EPOCHS):
        found = []
        for begin in range(0, len(x), BATCH):
            part = slice(begin + rank, begin + BATCH, processes)
            predicted = module(x[part], training=True)
            loss = torch.nn.functional.binary_cross_entropy(predicted, y[part])
            optimizer.zero_grad()
            loss.backward()  # gradients become their mean over the processes
            optimizer.step()
            found.append(loss.detach())
        mean = torch.stack(found).mean()
        if processes > 1:
            distributed.all_reduce(mean)
        history.append(float(mean) / processes)
    return history


def work(rank: int, folder: str, queue: Any) -> None:
    """What each process does."""
    torch.set_num_threads(1)
    meeting_place = (Path(folder) / "processes").as_uri()
    distributed.init_process_group(
        "gloo", init_method=meeting_place, rank=rank, world_size=PROCESSES
    )
    several = losses(rank, PROCESSES)
    distributed.destroy_process_group()
    if rank == 0:
        queue.put(several)


def main() -> None:
    one = losses()
    queue = torch.multiprocessing.get_context("spawn").SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(work, (folder, queue), PROCESSES)
    compare(one, queue.get(), f"{PROCESSES} processes")


if __name__ == "__main__":
    main()
