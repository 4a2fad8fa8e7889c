"""Which tests run: those that import Keras where its backend is installed, and which are slow."""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from keras_rk import tableaux

HERE = Path(__file__).parent
NETWORK_SIDE = ("diagnostics", "field", "layers", "loops", "models", "steps")
IMPORTS_KERAS = re.compile(
    rf"^(import keras\b|from keras\b|from keras_rk\.({'|'.join(NETWORK_SIDE)})\b)", re.MULTILINE
)
ASKS_FOR_BACKEND = re.compile(r"^from \.conftest import", re.MULTILINE)
DEADLINE = 20  # seconds
MODULES = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}

gc.set_threshold(100_000, 20, 20)  # traces are many small objects, seldom garbage
if "PYTEST_XDIST_WORKER" in os.environ:  # as many processes as cores: one thread each is enough
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
# What is tested compiles for longer than it computes: XLA leaves LLVM's optimizations out.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")


def backend() -> str:
    """The backend that Keras is going to use, found without importing Keras."""
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    try:
        configured = json.loads((home / "keras.json").read_text()).get("backend")
    except (OSError, ValueError):
        configured = None
    return os.environ.get("KERAS_BACKEND") or configured or "tensorflow"


def has_backend() -> bool:
    modules = ("keras", MODULES.get(backend(), backend()))
    return all(importlib.util.find_spec(module) is not None for module in modules)


SOURCES = {path.name: path.read_text(encoding="utf-8") for path in HERE.glob("test_*.py")}
WITH_KERAS = {name for name, source in SOURCES.items() if IMPORTS_KERAS.search(source)}
EXACT = {name for name in SOURCES if not ASKS_FOR_BACKEND.search(SOURCES[name])} - WITH_KERAS
METHODS = tableaux.described()
ABOVE_TEN = {method["name"] for method in METHODS if method["order"] > 10}  # very many trees
collect_ignore = [] if has_backend() else sorted(WITH_KERAS)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Files of which -m chooses nothing are not read: there are thousands of tests."""
    chosen = config.getoption("markexpr")
    is_left_out = (chosen.startswith("not exact") and collection_path.name in EXACT) or (
        chosen.startswith("exact") and collection_path.name in SOURCES.keys() - EXACT
    )
    return True if is_left_out else None


def pytest_report_header() -> str:
    if collect_ignore:
        return f"keras on {backend()}: not installed, {len(collect_ignore)} files are left out"
    return f"keras on {backend()}"


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    unstable = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if unstable:
        raise pytest.UsageError(
            "A test has one name in all processes, and so no address in it: give `ids`. "
            f"Received: {', '.join(unstable)}."
        )
    repeated = of_a_shape_met_before()
    for item in items:
        if item.path.name in EXACT:
            item.add_marker(pytest.mark.exact)
        if not named_methods(item).isdisjoint(repeated):
            item.add_marker(pytest.mark.repeated)
        if is_compiled(item) or not named_methods(item).isdisjoint(ABOVE_TEN):
            item.add_marker(pytest.mark.slow)


def named_methods(item: pytest.Item) -> set[str]:
    """The texts among a test's parameters, which may name a method."""
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return {parameter for parameter in parameters if isinstance(parameter, str)}


def of_a_shape_met_before() -> set[str]:
    """Named methods of an order and stages that an earlier one has: to a layer they look alike."""
    shapes = [(m["order"], m["embedded_order"], m["stages"]) for m in METHODS]
    return {m["name"] for k, m in enumerate(METHODS) if shapes[k] in shapes[:k]}


def is_compiled(item: pytest.Item) -> bool:
    """Whether a test compiles what others execute at once; for loops, that is what they are about.

    A quick run compiles by XLA in the tests of loops, and whatever is fitted.
    """
    mode = item.callspec.params.get("mode") if hasattr(item, "callspec") else None
    return mode == "graph" or (mode == "jit" and item.path.name != "test_loops.py")


@pytest.fixture(autouse=True)
def _seed() -> None:
    """The same initial weights in every run, for tests that use Keras."""
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)


@pytest.fixture
def deadline():
    """Fails the test, and only the test, that hangs; the limit is far above what it takes."""

    def fail(*_):
        raise AssertionError(f"not done after {DEADLINE} s")

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(DEADLINE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
