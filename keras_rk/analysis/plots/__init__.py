"""Pictures of tableaux: `keras_rk.plots`. Imports `analysis`, and Matplotlib when one is drawn.

Each function returns the Matplotlib figure, which has `savefig`, and draws into `axes` where they
are given. Colours are those of Okabe and Ito, told apart by those who see fewer of them, and no
line is told from another by its colour alone.
"""

from keras_rk.analysis.plots.errors import error_coefficients
from keras_rk.analysis.plots.problems import PROBLEMS, Problem
from keras_rk.analysis.plots.regions import stability_regions
from keras_rk.analysis.plots.stars import order_stars
from keras_rk.analysis.plots.trees import rooted_trees
from keras_rk.analysis.plots.work import work_precision

__all__ = [
    "PROBLEMS",
    "Problem",
    "error_coefficients",
    "order_stars",
    "rooted_trees",
    "stability_regions",
    "work_precision",
]
