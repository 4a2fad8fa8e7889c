#!/usr/bin/env bash
# nodepy 1.1.1: the imaginary stability interval of a method given in float64 is 0 for 0.997.
#
# Of |R(iy)|^2 - 1, the first coefficients vanish by the order conditions; in floats, what rounding
# leaves of them decides. The same method in SymPy's numbers gives 0.997. Output seen:
#
#   nodepy 1.1.1
#   Dormand-Prince 5(4), exact: 0.99718900863253, in float64: 0
#   |R(0.5i)| = 0.99999684685104 < 1
#
# What we do: `keras_rk.stability` compares such coefficients with what rounding explains;
# tests/test_analyse.py holds float64 copies of methods to the intervals of their originals.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nodepy==1.1.1 six==1.17.0  # which it imports and does not declare
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from nodepy import rk

print("nodepy", version("nodepy"))
exact = rk.loadRKM("DP5")
rounded = rk.ExplicitRungeKuttaMethod(exact.A.astype(float), exact.b.astype(float))
ends = exact.imaginary_stability_interval(), rounded.imaginary_stability_interval()
print(f"Dormand-Prince 5(4), exact: {ends[0]}, in float64: {ends[1]}")
p, _ = rounded.stability_function()
inside = abs(np.polyval([float(c) for c in p.coeffs], 0.5j))
print(f"|R(0.5i)| = {inside:.14f} < 1")
sys.exit(not (float(ends[0]) > 0.99 and float(ends[1]) < 0.1 and inside < 1))
PYTHON
