"""The wings of the package: imports go down only, and each wing keeps to what it may import.

The tests read the source of every module, so that an import inside a function counts as well.
"""

import ast
import re
from pathlib import Path

import pytest

import keras_rk

ROOT = Path(keras_rk.__file__).parent
FLOORS = (  # from the ground up; wings side by side do not import one another
    ("errors", "notebook", "progress"),
    ("numbers", "loops"),
    ("butcher", "field"),
    ("tableaux",),
    ("proof",),
    ("analysis", "steps"),
    ("layers",),
    ("models",),
    ("diagnostics",),
    ("__init__",),
    ("cli",),
    ("__main__",),
)
LEVEL = {wing: level for level, wings in enumerate(FLOORS) for wing in wings}
EXACT_SIDE = (
    "errors",
    "notebook",
    "progress",
    "numbers",
    "butcher",
    "tableaux",
    "proof",
    "analysis",
    "cli",
    "__main__",
)
BACKENDS = ("tensorflow", "jax", "jaxlib", "torch", "torch_xla", "openvino")
MODULES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))


def wing_of(module):
    """The wing of a dotted name below `keras_rk`; the package itself is the top floor."""
    parts = module.split(".")[1:]
    return parts[0] if parts and parts[0] in LEVEL else "__init__"


def name_of(path):
    parts = [part for part in path.with_suffix("").parts if part != "__init__"]
    return ".".join(["keras_rk", *parts])


def imported(source):
    """Every module that `source` imports, at its top or inside a function.

    `from keras_rk import x` counts as `keras_rk.x`, `import_module("keras_rk.x")` too; for names
    that `keras_rk` itself passes on, that is the package, the top floor.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield "relative"
            elif node.module == "keras_rk":
                yield from (f"keras_rk.{alias.name}" for alias in node.names)
            else:
                yield node.module
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            first = node.args[0]
            yield first.value if isinstance(first, ast.Constant) else "computed"


def imports_of(path):
    return list(imported((ROOT / path).read_text(encoding="utf-8")))


def upwards(module, names):
    """Those among `names` that stand above `module`, or beside it in another wing."""
    own = wing_of(module)
    ours = [name for name in names if name.split(".")[0] == "keras_rk"]
    return [name for name in ours if wing_of(name) != own and LEVEL[wing_of(name)] >= LEVEL[own]]


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_every_module_has_its_floor(path):
    assert path.parts[0].removesuffix(".py") in LEVEL


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_go_down_only(path):
    assert upwards(name_of(path), imports_of(path)) == []
    assert "relative" not in imports_of(path), "absolute imports say where they lead"


@pytest.mark.parametrize(
    "path", [path for path in MODULES if wing_of(name_of(path)) in EXACT_SIDE], ids=str
)
def test_the_exact_side_never_imports_keras(path):
    if path.parts[0] == "__init__.py":
        return  # it loads what needs Keras when that is touched: tests/test_package.py
    roots = {name.split(".")[0] for name in imports_of(path)}
    assert roots.isdisjoint({"keras", *BACKENDS})


@pytest.mark.parametrize("path", [path for path in MODULES if path.parts[0] != "loops"], ids=str)
def test_only_loops_imports_a_backend(path):
    assert {name.split(".")[0] for name in imports_of(path)}.isdisjoint(BACKENDS)


@pytest.mark.parametrize("path", [path for path in MODULES if path.parts[0] != "loops"], ids=str)
def test_only_loops_asks_which_backend_runs(path):
    """Neither `keras.backend.backend()` nor a comparison with a backend's name."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    asked = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert "keras.backend.backend" not in {ast.unparse(call.func) for call in asked}
    compared = [
        constant.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare | ast.Subscript | ast.Dict)
        for constant in ast.walk(node)
        if isinstance(constant, ast.Constant)
    ]
    assert set(BACKENDS).isdisjoint(map(str, compared))


@pytest.mark.parametrize("wing", sorted(path.parent.name for path in ROOT.glob("*/__init__.py")))
def test_each_wing_says_what_it_is_and_what_it_may_import(wing):
    text = ast.get_docstring(ast.parse((ROOT / wing / "__init__.py").read_text(encoding="utf-8")))
    assert re.search(r"^[^\n]+\.\n", f"{text}\n")
    assert "mports" in text


@pytest.mark.parametrize(
    "module, source",
    [
        ("keras_rk.numbers.grammar", "from keras_rk.butcher.tableau import Tableau"),
        ("keras_rk.numbers.grammar", "def f():\n    from keras_rk import check"),
        ("keras_rk.numbers.grammar", "import keras_rk"),
        ("keras_rk.steps.stages", "from keras_rk.analysis import stability"),
        ("keras_rk.field.inputs", "import keras_rk.layers.rk_stack"),
        ("keras_rk.proof.checker", "import_module('keras_rk.diagnostics')"),
    ],
)
def test_an_import_upwards_is_found(module, source):
    assert len(upwards(module, imported(source))) == 1


@pytest.mark.parametrize(
    "module, source",
    [
        ("keras_rk.diagnostics.runs", "from keras_rk.layers import RKStack"),
        ("keras_rk.proof.forms", "from keras_rk.proof.integer_form import IntegerForm"),
        ("keras_rk.layers.rk_stack", "from keras_rk import loops"),
    ],
)
def test_an_import_downwards_is_no_fault(module, source):
    assert upwards(module, imported(source)) == []


def test_modules_of_the_examples_have_names_of_their_own():
    """One process of pytest imports several examples by name: the first of a name would stand."""
    names = [path.name for path in (Path(__file__).parents[1] / "examples").glob("*/*.py")]
    assert sorted({name for name in names if names.count(name) > 1}) == ["report.py", "run.py"]
