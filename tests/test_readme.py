"""What the README shows runs, and prints what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import has_backend

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
PRINTED = re.search(r"```text\n(ralston.*?)```", README, re.DOTALL)


@pytest.mark.skipif(not has_backend(), reason="Keras or its backend is missing")
def test_the_python_blocks_run_one_after_the_other():
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(BLOCKS)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == PRINTED[1]


@pytest.mark.parametrize("command", ["spirals", "tests"])
def test_there_is_exactly_one_command_for_each_job(command):
    assert README.count(f"<!-- command: {command} -->\n```bash\n") == 1
