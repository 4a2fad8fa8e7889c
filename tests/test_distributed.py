"""The programs in examples/distributed: training on several devices repeats training on one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from .conftest import backend, has_backend

ROOT = Path(__file__).parents[1]
EXAMPLES = {
    "jax_data_parallel": "jax",
    "tensorflow_mirrored": "tensorflow",
    "torch_ddp": "torch",
}
DEVICES = {
    "jax_data_parallel": "4 devices",
    "tensorflow_mirrored": "2 devices",
    "torch_ddp": "2 processes",
}


def run(example, **environment):
    """What the command in the program's docstring does."""
    path = f"examples/distributed/{example}.py"
    assert f"\n    python {path}\n" in (ROOT / path).read_text(encoding="utf-8")
    paths = os.pathsep.join([str(ROOT), *sys.path])
    return subprocess.run(
        [sys.executable, path],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def run_or_skip(example, **environment):
    if not has_backend() or backend() != EXAMPLES[example]:
        pytest.skip(f"runs where the tests run on {EXAMPLES[example]}")
    return run(example, **environment)


@pytest.mark.slow
@pytest.mark.parametrize("example", sorted(EXAMPLES))
def test_losses_are_those_of_one_device(example):
    done = run_or_skip(example)
    assert done.returncode == 0, done.stderr
    assert f"one device  {DEVICES[example]}\n" in done.stdout
    rows = re.findall(r"^ +(\d+) +(\d\.\d+)  (\d\.\d+)$", done.stdout, re.MULTILINE)
    losses = np.array(rows, "float64")
    assert losses[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert losses[-1, 1] < 0.95 * losses[0, 1]  # it learns
    np.testing.assert_allclose(losses[:, 1], losses[:, 2], rtol=1e-5)


@pytest.mark.parametrize("example, module", [*EXAMPLES.items()])
def test_a_missing_backend_is_named_with_what_to_install(example, module, tmp_path):
    (tmp_path / f"{module}.py").write_text("raise ImportError('not installed')\n")
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    done = run(example, PYTHONPATH=paths)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("This example needs ")
    assert "pip install" in done.stderr
