"""Methods that preserve strong stability (SSP) under the largest steps for their stages and order.

`ssprkSP` has S stages and order P; SSP(2,2) is `heun2`. The embedded weights of `ssprk43` and
`ssprk104` are of a later date than the methods.
"""

from keras_rk.tableaux.registry import method

method(
    "ssprk33",
    order=3,
    source=(
        "C.-W. Shu and S. Osher, Efficient implementation of essentially non-oscillatory "
        "shock-capturing schemes (1988)"
    ),
    drawing="""
        0   |
        1   | 1
        1/2 | 1/4  1/4
        ----+--------------
            | 1/6  1/6  2/3
    """,
)

method(
    "ssprk43",
    order=3,
    embedded_order=2,
    source=(
        "J. F. B. M. Kraaijevanger, Contractivity of Runge-Kutta methods (1991); embedded "
        "weights: S. Conde, I. Fekete and J. N. Shadid, Embedded error estimation and adaptive "
        "step-size control for optimal explicit strong stability preserving Runge-Kutta "
        "methods (2018), as collected in nodepy"
    ),
    drawing="""
        0   |
        1/2 | 1/2
        1   | 1/2  1/2
        1/2 | 1/6  1/6  1/6
        ----+-------------------
            | 1/6  1/6  1/6  1/2
            | 1/4  1/4  1/4  1/4
    """,
)

# The 15 digits that are published are those of the Shu-Osher form; multiplied out, they give the
# 30 and more digits here, of which 15 are significant.
method(
    "ssprk54",
    order=4,
    source=(
        "S. J. Ruuth, Global optimization of explicit strong-stability-preserving Runge-Kutta "
        "methods (2006); coefficients as collected in rklib"
    ),
    listing="""
        a[2,1]=0.39175222657189
        a[3,1]=0.21766909626116877948668521585 a[3,2]=0.368410593050371
        a[4,1]=0.08269208665781060028233726823944494217321245
        a[4,2]=0.139958502191895367785698652487 a[4,3]=0.251891774271694
        a[5,1]=0.0679662836371147694313878635886831109479646478653333431066
        a[5,2]=0.115034698504631575633904144865925771752480716
        a[5,3]=0.207034898597385631974944394392 a[5,4]=0.544974750228521
        b[1]=0.146811876084786594795222516315129195360634974209564990653428
        b[2]=0.248482909444976196777977462424003098381666670227628989460604
        b[3]=0.104258830331980972145378378043631166285267448 b[4]=0.274438900901350687438214535149
        b[5]=0.226007483236906
    """,
)

method(
    "ssprk104",
    order=4,
    embedded_order=3,
    source=(
        "D. I. Ketcheson, Highly efficient strong stability preserving Runge-Kutta methods "
        "with low-storage implementations (2008); embedded weights: S. Conde, I. Fekete and J. "
        "N. Shadid, Embedded error estimation and adaptive step-size control for optimal "
        "explicit strong stability preserving Runge-Kutta methods (2018), as collected in "
        "nodepy"
    ),
    drawing="""
        0   |
        1/6 | 1/6
        1/3 | 1/6   1/6
        1/2 | 1/6   1/6   1/6
        2/3 | 1/6   1/6   1/6   1/6
        1/3 | 1/15  1/15  1/15  1/15  1/15
        1/2 | 1/15  1/15  1/15  1/15  1/15  1/6
        2/3 | 1/15  1/15  1/15  1/15  1/15  1/6   1/6
        5/6 | 1/15  1/15  1/15  1/15  1/15  1/6   1/6   1/6
        1   | 1/15  1/15  1/15  1/15  1/15  1/6   1/6   1/6   1/6
        ----+-----------------------------------------------------------
            | 1/10  1/10  1/10  1/10  1/10  1/10  1/10  1/10  1/10  1/10
            | 0     2/9   0     0     5/18  1/3   0     0     0     1/6
    """,
)
