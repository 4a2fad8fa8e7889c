"""What was measured and expected, written down before results of the report's seeds were seen.

Pilot runs, with seeds that the report does not use, chose the size of the networks, the length of
training and the constants below.

Endpoints, for each cell and seed (measuring.py defines them): the error of the learned f; the
rollout error with the training method at dt ("own"), at dt / 2 ("half"), and of the flow of the
learned f ("fine").

Intervals: over seeds, Student's t at 95 %, on logarithms where a quantity is an error (so that an
interval is around the geometric mean), on slopes as they are. Tests are paired t tests over seeds,
corrected by Holm's method over all that the report makes.

The slope of a method on a system is taken between neighbouring dt: log2 of the ratio of the errors
of f. It is called asymptotic where

- both errors are at least FLOOR_FACTOR times the floor, the error of the same network trained on f
  itself with the same seed (geometric mean over seeds), and
- the larger dt is at most LARGEST_PHASE / L, with L = |f'f| / |f| over the test states: where dt is
  longer than the time in which f changes, no order is to be expected.

Where a method has several such pairs, the one with the smallest dt counts.

Expected:

1. The slope of a method of order p is p: p is inside the interval, or within SLOPE_TOLERANCE of the
   mean.
2. Once the error is within FLOOR_FACTOR of the floor, the smallest dt gains less than GAIN.
3. A field learned with Euler's method is not f but f + dt/2 f'f + ...: its distance from f has
   slope 1, from f + dt/2 f'f slope 2, and from (phi_dt - id) / dt it is at the floor.
4. It is right with Euler's method at the same dt, and only so: rolled out with "half" or "fine" it
   is worse. Fields learned with RK4 or RK8 are as good, within a factor of two, with "fine" as with
   "own".
5. With snapshots at uneven distances there is no field with which Euler's method is exact: its
   residual stays above the floor, and rolled out with its own method it is no longer right.
6. With noise, the error that noise makes grows as 1/dt. So the best dt of a method is larger the
   higher its order, and its best error smaller.
7. At equal evaluations of f, and at equal training time (that of one step of Euler's method for all
   its iterations), high order beats many steps of Euler's method.
8. `ode_consistency` tells the two apart without f: its distance predicts the error of f that a
   method makes, and its verdict is "behaves like an ODE" just where that error is at most VERDICT.
"""

from __future__ import annotations

FLOOR_FACTOR = 5.0
LARGEST_PHASE = 1.25
SLOPE_TOLERANCE = 0.25
GAIN = 2.0  # a smaller factor gained below the floor counts as nothing
VERDICT = 0.05  # `ode_consistency`'s tolerance for a distance
