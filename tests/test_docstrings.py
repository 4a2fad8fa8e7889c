"""The examples in docstrings."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

import keras_rk

from .conftest import NETWORK_SIDE, has_backend

MODULES = [
    module.name
    for module in pkgutil.walk_packages(keras_rk.__path__, "keras_rk.", onerror=lambda name: None)
    if has_backend() or module.name.split(".")[1] not in NETWORK_SIDE
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    if name.startswith("keras_rk.loops.") and "_" in name.rsplit(".", 1)[1]:
        pytest.importorskip(name.rsplit(".", 1)[1].split("_")[0])
    module = importlib.import_module(name)
    names = {**vars(module), "np": np}
    failed, _ = doctest.testmod(module, extraglobs=names, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


def test_the_public_classes_and_functions_have_examples():
    finder = doctest.DocTestFinder()
    public = ("proof.checker", "butcher.tableau", "proof.rooted_trees")
    public += ("proof.order_conditions", "analysis.stability", "analysis.symbolic_solutions")
    public += ("analysis.algebraic_stability", "analysis.symplecticity", "analysis.symmetry")
    public += ("tableaux.gauss_methods", "tableaux.radau", "tableaux.lobatto")
    public += ("tableaux.diagonally_implicit",)
    with_examples = [
        name
        for name in public
        if any(test.examples for test in finder.find(importlib.import_module(f"keras_rk.{name}")))
    ]
    assert with_examples == list(public)
