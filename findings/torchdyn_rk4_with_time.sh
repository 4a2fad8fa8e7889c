#!/usr/bin/env bash
# torchdyn 1.0.6 (PyTorch 2.13): solver="rk4" has order 1 where f depends on the time.
#
# Its step reads the nodes (0, 1/2, 1/2, 1) from their beginning for the second to the fourth stage, so
# that f is called at t, t, t + dt/2, t + dt/2 in the place of t, t + dt/2, t + dt/2, t + dt. Without
# the time in f nothing is wrong: y' = y has order 4. y' = t^2 y does not; solver="midpoint", of order
# 2, is more accurate there with half the evaluations.
#
# Output seen:
#   rk4 on y' = y: errors 2.1e-06, 1.4e-07; order 3.94
#   rk4 on y' = t^2 y: errors 3.4e-02, 1.7e-02; order 0.98
#   midpoint on y' = t^2 y: errors 3.0e-03, 7.9e-04; order 1.95
set -euo pipefail
venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6 scipy==1.17.0
"$venv/bin/pip" install --quiet --no-deps torchdyn==1.0.6 torchcde==0.2.5 torchsde==0.2.6 \
    torchdiffeq==0.2.5 trampoline==0.1.2 attrs==26.1.0
cd "$venv"
cat > try.py <<'PY'
import math

import torch
from torchdyn.numerics import odeint


def error(f, end, solver, steps):
    """Of y(1), with y(0) = 1."""
    times = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    _, y = odeint(f, torch.ones(1, 1, dtype=torch.float64), times, solver=solver)
    return abs(y[-1].item() - end)


fields = {
    "y": (lambda t, y: y, math.exp(1)),
    "t^2 y": (lambda t, y: t**2 * y, math.exp(1 / 3)),
}
orders = {}
for solver, name in (("rk4", "y"), ("rk4", "t^2 y"), ("midpoint", "t^2 y")):
    first, second = (error(*fields[name], solver, steps) for steps in (10, 20))
    orders[solver, name] = math.log2(first / second)
    print(f"{solver} on y' = {name}: errors {first:.1e}, {second:.1e}; order "
          f"{orders[solver, name]:.2f}")
assert abs(orders["rk4", "y"] - 4) < 0.2
assert abs(orders["rk4", "t^2 y"] - 1) < 0.2
assert abs(orders["midpoint", "t^2 y"] - 2) < 0.2
PY
bin/python try.py
