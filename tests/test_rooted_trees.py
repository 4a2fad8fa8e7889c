"""Enumeration, density, symmetry, printing."""

from __future__ import annotations

from math import factorial

import pytest

from keras_rk.proof.rooted_trees import RootedTree, rooted_trees

COUNTS = [1, 1, 2, 4, 9, 20, 48, 115, 286, 719, 1842, 4766]  # OEIS A000081
LEAF = RootedTree()


def graft(tree):
    """All trees that arise from `tree` by one more leaf, in any shape of drawing."""
    yield (*tree, ())
    for i, child in enumerate(tree):
        for grown in graft(child):
            yield (*tree[:i], grown, *tree[i + 1 :])


def canonical(tree):
    return tuple(sorted(map(canonical, tree)))


def nested(tree: RootedTree):
    return tuple(nested(child) for child in tree.children)


def grown(order):
    """The trees of an order, found by growing leaves: slow, and independent of the plans."""
    trees = {()}
    for _ in range(order - 1):
        trees = {canonical(larger) for tree in trees for larger in graft(tree)}
    return trees


@pytest.mark.parametrize(("order", "count"), enumerate(COUNTS, start=1))
def test_counts(order, count):
    assert sum(1 for _ in rooted_trees(order)) == count


@pytest.mark.parametrize("order", range(1, 9))
def test_trees_are_those_that_growing_leaves_finds(order):
    found = [canonical(nested(tree)) for tree in rooted_trees(order)]
    assert len(set(found)) == len(found)
    assert set(found) == grown(order)


@pytest.mark.parametrize("order", range(1, 10))
def test_densities_and_symmetries_count_the_labellings(order):
    # n!/(gamma sigma) increasing labellings a tree; together they are (n - 1)!
    trees = list(rooted_trees(order))
    labellings = [factorial(order) // (tree.density * tree.symmetry) for tree in trees]
    assert sum(labellings) == factorial(order - 1)


@pytest.mark.parametrize("order", range(1, 9))
def test_level_sequences_give_the_tree_back(order):
    def parse(levels):
        children, rest = [], list(levels[1:])
        while rest:
            end = next((i for i in range(1, len(rest)) if rest[i] == rest[0]), len(rest))
            children.append(parse(rest[:end]))
            rest = rest[end:]
        return tuple(children)

    trees = list(rooted_trees(order))
    assert [parse(tree.level_sequence) for tree in trees] == [nested(tree) for tree in trees]


@pytest.mark.parametrize(
    ("tree", "text", "formula", "density", "symmetry"),
    [
        (LEAF, "τ", "sum b_i", 1, 1),
        (RootedTree((LEAF, LEAF)), "[τ,τ]", "sum b_i c_i c_i", 3, 2),
        (RootedTree((RootedTree((LEAF,)),)), "[[τ]]", "sum b_i a_ij c_j", 6, 1),
        (
            RootedTree((LEAF, RootedTree((LEAF, LEAF)))),
            "[τ,[τ,τ]]",
            "sum b_i c_i a_ij c_j c_j",
            15,
            2,
        ),
    ],
)
def test_printing(tree, text, formula, density, symmetry):
    assert str(tree) == text
    assert tree.elementary_weight() == formula
    assert (tree.density, tree.symmetry) == (density, symmetry)


def test_formula_without_row_sums_writes_the_sum():
    tree = RootedTree((LEAF, RootedTree(is_time=True)))
    assert tree.elementary_weight(row_sums=False) == "sum b_i a_ij c_i"


def test_children_have_no_order():
    cherry = RootedTree((RootedTree((LEAF,)), LEAF))
    same = RootedTree((LEAF, RootedTree((LEAF,))))
    assert cherry == same
    assert RootedTree((cherry, same)).symmetry == 2


def test_formulas_of_tall_trees_have_an_index_for_each_vertex():
    tree = LEAF
    for _ in range(60):
        tree = RootedTree((tree,))
    assert tree.order == 61
    factors = tree.elementary_weight().split()
    assert len(set(factors)) == len(factors)


@pytest.mark.parametrize("order", [0, -1, 1.0, True, None, "3"])
def test_bad_orders(order):
    with pytest.raises(ValueError, match="Received"):
        rooted_trees(order)
