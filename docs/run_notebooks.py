"""Runs the notebooks of docs/notebooks, and keeps what they print and draw in them.

    pip install -e ".[docs]" scikit-learn
    python docs/run_notebooks.py                    all of them; or their names

What differs from machine to machine is left out: times, and what the backend logs. A cell whose
printed numbers depend on the processor has the tag "varies". tests/test_notebooks.py runs the
notebooks and compares what they print.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
NOTEBOOKS = sorted(DOCS.glob("notebooks/*.ipynb"))
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}  # one result on all processors
LOGGED = re.compile(r"^WARNING:.*\n", re.MULTILINE)


def executed(path: Path) -> Any:
    """The notebook after a run from top to bottom, in a fresh kernel and an empty folder."""
    import nbclient
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    variables = os.environ | QUIET
    variables["PYTHONPATH"] = os.pathsep.join([str(DOCS.parent), os.environ.get("PYTHONPATH", "")])
    with tempfile.TemporaryDirectory() as folder:
        client = nbclient.NotebookClient(
            notebook,
            timeout=300,
            kernel_name="python3",
            record_timing=False,
            resources={"metadata": {"path": folder}},
        )
        client.execute(env=variables)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [one for one in merged(cell.outputs) if one.get("name") != "stderr"]
    notebook.metadata["language_info"] = {"name": "python"}  # not the version that ran it
    return notebook


def merged(outputs: list[Any]) -> list[Any]:
    """Outputs with what is printed bit by bit put together, and what is logged taken out."""
    kept: list[Any] = []
    for output in outputs:
        if output.output_type == "stream":
            output.text = LOGGED.sub("", output.text)
            before = kept[-1] if kept and kept[-1].output_type == "stream" else None
            if before is not None and before.name == output.name:
                before.text += output.text
                continue
        kept.append(output)
    return [one for one in kept if one.output_type != "stream" or one.text.strip()]


def printed(cell: Any) -> str:
    """What a cell prints; of one with the tag "varies" without numbers and without layout."""
    text = "".join(one.text for one in cell.outputs if one.output_type == "stream")
    if "varies" not in cell.metadata.get("tags", []):
        return text
    return " ".join(re.sub(r"[-+]?\d[\d.e+-]*", "#", text).split())


def main() -> int:
    import nbformat

    for path in [p for p in NOTEBOOKS if p.stem in sys.argv[1:] or len(sys.argv) == 1]:
        nbformat.write(executed(path), path)
        print(f"{path.name}: {path.stat().st_size // 1024} KB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
