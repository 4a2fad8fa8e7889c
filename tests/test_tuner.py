"""examples/tuner.py searches, also where TensorFlow is not installed, and goes on where it was."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

TUNER = Path(__file__).parent.parent / "examples" / "tuner.py"
MISSING = [m for m in ("keras_tuner", "six") if importlib.util.find_spec(m) is None]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.repeated,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.skipif(not TUNER.exists(), reason="a source distribution without examples"),
]


def search(folder: Path, trials: int) -> list[str]:
    variables = os.environ | {"KERAS_BACKEND": keras.backend.backend()}
    command = [sys.executable, TUNER, "--epochs", "1", "--trials", str(trials), "--output", folder]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=variables, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_search_goes_on_with_the_trials_that_are_missing(tmp_path):
    first = search(tmp_path, 1)
    assert first[0] == "a new search"
    assert len(first) == 3  # a heading and one network
    again = search(tmp_path, 2)
    assert "1 of 2 trials are in the folder" in again
    assert first[2] in again  # as it was, not trained again
    assert len(again) == len(first) + 2  # KerasTuner says what it reloads
