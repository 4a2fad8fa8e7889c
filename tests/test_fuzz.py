"""A short run of tests/fuzz_tableaux.py, which runs a million inputs by itself."""

from __future__ import annotations

import pytest

from tests.fuzz_tableaux import ENDINGS, fuzz


@pytest.mark.parametrize("seed", range(4))
def test_random_inputs(seed):
    outcomes, faults = fuzz(160, seed, say=lambda line: None)
    assert faults == []
    kinds = {outcome.partition(":")[0] for outcome in outcomes}
    assert kinds == {*ENDINGS, "text", "command", "numpy"}
    assert sum(count for outcome, count in outcomes.items() if "accepted" in outcome) > 5
