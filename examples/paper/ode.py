"""Is a trained network an ODE? What keras_rk.diagnostics says of the networks of a run."""

from __future__ import annotations

from typing import Any

from grid import Network
from records import Folder

METHODS = ("euler", "heun2", "rk4")
SUBSTEPS = (1, 2, 4, 8, 16)


def diagnose(folder: Folder, network: Network, seed: int) -> dict[str, Any]:
    """Runs the diagnostics on the test points of a trained network, and keeps what they say.

    Beside it stands a network like it that is not trained: small steps, or small weights, make any
    network an ODE, so that only a distance below that one's has been learned.
    """
    from harder import points
    from networks import build
    from training import right

    from keras_rk import diagnostics

    model = build(network)
    model.set_weights(folder.weights(network, seed))
    x_train, _, x, y = points(network.data, seed)
    options = {"verbose": 0, "metric": right, "calibration": x_train}
    options |= {"control": 1, "coarsening": ()}
    constant = diagnostics.ode_consistency(
        model, x, y, methods=METHODS, substeps=SUBSTEPS, weights="piecewise_constant", **options
    )
    found = {"network": network.to_dict(), "seed": seed, "constant": constant.to_dict()}
    if network.normalization == "none":  # with a layer after each block there is no such limit
        interpolated = diagnostics.ode_consistency(
            model, x, y, methods=("rk4",), substeps=SUBSTEPS[:4], weights="interpolated", **options
        )
        found["interpolated"] = interpolated.to_dict()
    found["steepness"] = diagnostics.lipschitz(model, x, verbose=0).to_dict()
    folder.keep_diagnosis(network, seed, found)
    return found
