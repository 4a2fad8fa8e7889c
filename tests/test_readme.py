"""What the README shows runs, and prints what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import has_backend

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(
    r"```python\n(?P<code>.*?)```(?:\n\n```text\n(?P<printed>.*?)```)?", README, re.DOTALL
)
GUIDE = ROOT / "docs/how_it_works/contributing.md"
if not GUIDE.exists():
    pytest.skip("a source distribution has no docs", allow_module_level=True)
CONTRIBUTING = GUIDE.read_text(encoding="utf-8")
NAMED_FILES = sorted(set(re.findall(r"`((?:keras_rk|tests)/[a-z_0-9/.]+)`", CONTRIBUTING)))


@pytest.mark.slow
@pytest.mark.repeated
@pytest.mark.skipif(not has_backend(), reason="Keras or its backend is missing")
@pytest.mark.parametrize("code, printed", BLOCKS)
def test_each_python_block_runs_alone_in_a_new_process(code, printed, tmp_path):
    if "import tensorflow" in code:
        pytest.importorskip("tensorflow", reason="the README says what to write without it")
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONIOENCODING": "utf-8",
            "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        },
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == printed


def test_a_newcomer_reads_it_in_five_minutes_and_no_link_is_broken():
    assert len(README.splitlines()) <= 230
    assert len(BLOCKS) >= 4
    for file in re.findall(r"\]\(([^)#:\s]+)\)", README):
        assert (ROOT / file).exists(), file


@pytest.mark.parametrize("command", ["spirals", "tests"])
def test_there_is_exactly_one_command_for_each_job(command):
    assert README.count(f"<!-- command: {command} -->\n```bash\n") == 1


@pytest.mark.parametrize("path", NAMED_FILES)
def test_files_that_contributors_are_sent_to_are_there(path):
    assert len(NAMED_FILES) > 10
    assert (ROOT / path).exists()


@pytest.mark.parametrize(
    "file, name",
    [
        *(("keras_rk/loops/jax_loops.py", f) for f in ("is_compiling", "scan", "remat", "look")),
        *(("keras_rk/layers/arguments.py", name) for name in ("STATES", "NOISES")),
        *(("keras_rk/field/evaluations.py", name) for name in ("_seen", "_after")),
        *(("keras_rk/field/evaluations.py", name) for name in ("StatePolicy", "Evaluations")),
        ("keras_rk/__init__.py", "_WING"),
        ("tests/conftest.py", "MODULES"),
        *(("tests/keras_helpers.py", name) for name in ("MODES", "gradients", "slow")),
        ("tests/test_saving.py", "WRITERS"),
        ("tests/test_tableaux.py", "EXPECTED"),
    ],
)
def test_names_that_contributors_are_sent_to_are_there(file, name):
    assert re.search(rf"`{name}(\(|`)", CONTRIBUTING)
    defined = rf"^ *(def {name}\(|class {name}\b|{name} ?=)"
    assert re.search(defined, (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.skipif(not (ROOT / ".ci").exists(), reason="a source distribution has no CI")
@pytest.mark.parametrize("caller", [".ci/run", ".pre-commit-config.yaml"])
def test_commits_wait_for_the_lint_of_ci(caller):
    text = (ROOT / caller).read_text(encoding="utf-8")
    assert re.search(r"^( +entry: )?\.ci/lint$", text, re.MULTILINE)
