#!/usr/bin/env bash
# nodepy 1.1.1: the method SS3, "Sharp-Smart RK3(2)4", steps with order 2 and estimates with 3.
#
# Its weights b and bhat are exchanged: the name says order 3 with an embedded order 2. A step
# taken with it is of order 2. Output seen:
#
#   nodepy 1.1.1
#   SS3 is Sharp-Smart RK3(2)4
#   b has order 2, bhat has order 3
#
# What we do: `keras_rk.tableaux.get("sharp_smart32")` has them the right way round, proved.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nodepy==1.1.1 six==1.17.0  # which nodepy imports without asking for it
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

from nodepy import rk

print("nodepy", version("nodepy"))
pair = rk.loadRKM("SS3")
orders = [rk.ExplicitRungeKuttaMethod(pair.A, weights).order() for weights in (pair.b, pair.bhat)]
print("SS3 is", pair.name)
print(f"b has order {orders[0]}, bhat has order {orders[1]}")
sys.exit(orders != [2, 3])
PYTHON
