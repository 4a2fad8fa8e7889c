"""Runs a quick set of tests on the oldest and the newest versions, and writes a table of them.

    python .ci/version_matrix.py                    what has not been run yet, a few minutes each
    python .ci/version_matrix.py --only jax         combinations whose name contains "jax"
    python .ci/version_matrix.py --again            all of them anew
    python .ci/version_matrix.py --list             the names, without running anything

Each combination of Python, Keras and a backend gets a fresh virtual environment, into which pip
installs the package without its dependencies, and these at the versions asked for: "oldest" is the
lowest that pyproject.toml declares (of NumPy, SymPy and wrapt, too, on the oldest Python), "newest"
what pip takes. Results are kept in build/version_matrix, one file each, so that an interrupted run
goes on; the table in docs/versions.md is written after each combination.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "build" / "version_matrix"
TABLE = ROOT / "docs" / "versions.md"
MARK = "<!-- table -->\n"  # in the page, before the table
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
BACKENDS = ("tensorflow", "jax", "torch")
TESTS = ("conformance", "saving", "rk_residual", "rk_stack")
LIMIT = 1200  # seconds for the tests of a combination
SHOWN = ("keras", *BACKENDS, "numpy", "sympy")
COLUMNS = ("Python", "Keras", "backend", "NumPy", "SymPy", "result", "date")


@dataclass(frozen=True)
class Combination:
    """Versions of Python ("3.12"), and "oldest" or "newest" of Keras and of the backend."""

    python: str
    backend: str
    keras: str
    backend_version: str

    @property
    def name(self) -> str:
        return f"{self.backend}-{self.backend_version}-keras-{self.keras}-python-{self.python}"


def combinations() -> list[Combination]:
    """On the oldest Python the oldest and newest of both; on each other one the newest of both."""
    oldest, *later = PYTHONS
    ages = ("oldest", "newest")
    mixed = [
        Combination(oldest, backend, keras, version)
        for keras, version, backend in itertools.product(ages, ages, BACKENDS)
    ]
    newest = [Combination(p, b, "newest", "newest") for p in later for b in BACKENDS]
    return sorted(
        mixed + newest, key=lambda c: (c.keras != c.backend_version, BACKENDS.index(c.backend))
    )


def lowest() -> dict[str, str]:
    """The requirements in pyproject.toml by name, each at its lowest version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    texts = [*project["dependencies"], *extras["jax"], *extras["torch"]]
    pairs = [re.match(r"([\w-]+)>=([\w.]+)", text) for text in texts]
    return {match[1]: f"{match[1]}=={match[2]}" for match in pairs if match}


def requirements(combination: Combination) -> list[str]:
    oldest = lowest()
    ages = {"keras": combination.keras, combination.backend: combination.backend_version}
    all_oldest = set(ages.values()) == {"oldest"}
    ages |= dict.fromkeys(("numpy", "sympy", "wrapt"), "oldest" if all_oldest else "newest")
    if combination.backend == "torch":
        ages["sympy"] = "newest"  # PyTorch asks for one that is newer than our lowest
    return [oldest[name] if age == "oldest" else name for name, age in ages.items()]


def interpreter(version: str) -> str | None:
    """A Python of the version, if there is one: on the PATH, or installed by pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [shutil.which(f"python{version}"), *pyenv.glob(f"versions/{version}.*/bin/python")]
    for path in filter(None, found):
        if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            return str(path)  # pyenv's shims are on the PATH for versions that are not active
    return None


def installed(python: Path) -> dict[str, str]:
    code = "import importlib.metadata as m, platform as p; print('python', p.python_version())\n"
    code += "for d in m.distributions(): print(d.name.lower(), d.version)"
    lines = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout
    return dict(line.split() for line in lines.splitlines())


def run(combination: Combination) -> dict[str, object]:
    """The versions that were installed and how the tests ended."""
    result: dict[str, object] = {"date": datetime.date.today().isoformat()}
    base = interpreter(combination.python)
    if base is None:
        return result | {"result": "not run: this Python was not on the machine"}
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "bin" / "python"
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-q"]
        subprocess.run([base, "-m", "venv", folder], check=True)
        commands = [
            [*pip, *requirements(combination), "pytest", "matplotlib"],
            [*pip, "--no-deps", str(ROOT)],
        ]
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                (RESULTS / f"{combination.name}.log").write_text(done.stderr, "utf-8")
                return result | {
                    "result": "not run: pip cannot install it",
                    "log": done.stderr[-2000:],
                }
        result["versions"] = installed(python)
        return result | run_tests(python, combination)


def run_tests(python: Path, combination: Combination) -> dict[str, object]:
    files = [str(ROOT / "tests" / f"test_{name}.py") for name in TESTS]
    chosen = ["-m", "not slow and not repeated", "--rootdir", str(ROOT)]
    command = [str(python), "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen, *files]
    variables = os.environ | {"KERAS_BACKEND": combination.backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    variables |= {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "MPLBACKEND": "Agg"}
    log = RESULTS / f"{combination.name}.log"
    with log.open("w", encoding="utf-8") as file:
        try:
            subprocess.run(
                command,
                cwd=ROOT,
                env=variables,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"result": f"stopped after {LIMIT} s"}
    lines = log.read_text("utf-8").splitlines()
    counts = {
        word: int(n)
        for n, word in re.findall(r"(\d+) (passed|failed|error)", lines[-1] if lines else "")
    }
    failed = [
        line.split(" - ")[0].split("::", 1)[-1]
        for line in lines
        if line.startswith(("FAILED", "ERROR"))
    ]
    result = ", ".join(f"{n} {word}" for word, n in counts.items()) or "did not start"
    return {"result": result, "failed": failed}


def table() -> str:
    """What has been run, as Markdown."""
    rows = [COLUMNS, ("---",) * len(COLUMNS)]
    order = sorted(
        combinations(), key=lambda c: (BACKENDS.index(c.backend), PYTHONS.index(c.python))
    )
    for combination in order:
        file = RESULTS / f"{combination.name}.json"
        if not file.exists():
            continue
        found = json.loads(file.read_text("utf-8"))
        versions = found.get("versions", {})
        name = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}[combination.backend]
        keras = versions.get("keras", combination.keras)
        backend = versions.get(combination.backend, combination.backend_version)
        numpy, sympy = versions.get("numpy", ""), versions.get("sympy", "")
        python = versions.get("python", combination.python)
        rows.append(
            (python, keras, f"{name} {backend}", numpy, sympy, found["result"], found["date"])
        )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="combinations whose name contains this")
    parser.add_argument("--again", action="store_true", help="also what has been run before")
    parser.add_argument("--list", action="store_true", help="print the names, run nothing")
    options = parser.parse_args()
    chosen = [c for c in combinations() if options.only in c.name]
    if options.list:
        print("\n".join(c.name for c in chosen))
        return 0
    RESULTS.mkdir(parents=True, exist_ok=True)
    for combination in chosen:
        file = RESULTS / f"{combination.name}.json"
        if options.again or not file.exists():
            file.write_text(json.dumps(run(combination), indent=1), "utf-8")
        page = TABLE.read_text("utf-8").partition(MARK)[0]
        TABLE.write_text(f"{page}{MARK}\n{table()}", "utf-8")
        print(f"{combination.name}: {json.loads(file.read_text('utf-8'))['result']}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
