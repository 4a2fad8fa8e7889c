#!/usr/bin/env bash
# nodepy 1.1.1: the method Lambert65, "from Shu-Osher paper", has order 2; the name says 5.
#
# Its third row is 1/8, 1/8. With 3/16, 1/16 there, whose sum is the same, all conditions up to
# order 5 hold. Output seen:
#
#   nodepy 1.1.1
#   Lambert65 has order 2, with a31, a32 = 1/8, 1/8
#   with 3/16, 1/16 it has order 5
#
# What we do: `keras_rk.check` of that tableau fails, and suggests this change first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nodepy==1.1.1 six==1.17.0  # which nodepy imports without asking for it
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import sympy
from nodepy import rk

print("nodepy", version("nodepy"))
method = rk.loadRKM("Lambert65")
before = method.order()
row = ", ".join(map(str, method.A[2, :2]))
print(f"Lambert65 has order {before}, with a31, a32 = {row}")
A = method.A.copy()
A[2, 0], A[2, 1] = sympy.Rational(3, 16), sympy.Rational(1, 16)
after = rk.ExplicitRungeKuttaMethod(A, method.b).order()
print(f"with 3/16, 1/16 it has order {after}")
sys.exit((before, after) != (2, 5))
PYTHON
