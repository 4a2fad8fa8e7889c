"""The notebooks run, and print what is committed in them."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import keras  # noqa: F401  (two of the notebooks need it)
import pytest

from .docs_pages import DOCS

if not DOCS.exists():
    pytest.skip("a source distribution has no docs", allow_module_level=True)

specification = importlib.util.spec_from_file_location("run_notebooks", DOCS / "run_notebooks.py")
run_notebooks = importlib.util.module_from_spec(specification)
specification.loader.exec_module(run_notebooks)

MISSING = [m for m in ("nbclient", "ipykernel", "sklearn") if importlib.util.find_spec(m) is None]
NOTEBOOKS = pytest.mark.parametrize("path", run_notebooks.NOTEBOOKS, ids=lambda path: path.stem)

pytestmark = pytest.mark.repeated


@NOTEBOOKS
def test_notebooks_are_small_and_say_nothing_of_the_machine_that_ran_them(path):
    text = path.read_text(encoding="utf-8")
    assert len(text) < 300_000
    assert not re.search(
        r'"(/home|/root|/tmp|/usr|[A-Z]:\\\\)|site-packages|"stderr"|"execution":', text
    )


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
@NOTEBOOKS
def test_notebooks_run_and_print_what_is_committed_in_them(path):
    import nbformat

    committed = nbformat.read(path, as_version=4)
    cells = run_notebooks.executed(Path(path)).cells
    for before, after in zip(committed.cells, cells, strict=True):
        if before.cell_type == "code":
            assert run_notebooks.printed(after) == run_notebooks.printed(before), before.source
