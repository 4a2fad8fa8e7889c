"""Methods of order 4."""

from keras_rk.tableaux.registry import method

method(
    "rk4",
    order=4,
    aliases=("classical_rk4",),
    source=(
        "W. Kutta, Beitrag zur näherungsweisen Integration totaler Differentialgleichungen (1901)"
    ),
    drawing="""
        0   |
        1/2 | 1/2
        1/2 | 0    1/2
        1   | 0    0    1
        ----+-------------------
            | 1/6  1/3  1/3  1/6
    """,
)

method(
    "rk38",
    order=4,
    aliases=("three_eighths_rule",),
    source=(
        "W. Kutta, Beitrag zur näherungsweisen Integration totaler Differentialgleichungen (1901)"
    ),
    drawing="""
        0   |
        1/3 | 1/3
        2/3 | -1/3  1
        1   | 1     -1   1
        ----+--------------------
            | 1/8   3/8  3/8  1/8
    """,
)

method(
    "gill4",
    order=4,
    aliases=("gill",),
    source=(
        "S. Gill, A process for the step-by-step integration of differential equations in an "
        "automatic digital computing machine (1951); coefficients as collected in Apache "
        "Commons Math"
    ),
    drawing="""
        0   |
        1/2 | 1/2
        1/2 | (-1+sqrt(2))/2  (2-sqrt(2))/2
        1   | 0               -sqrt(2)/2     (2+sqrt(2))/2
        ----+--------------------------------------------------
            | 1/6             (2-sqrt(2))/6  (2+sqrt(2))/6  1/6
    """,
)

method(
    "ralston4",
    order=4,
    source=(
        "A. Ralston, Runge-Kutta methods with minimum error bounds (1962); coefficients as "
        "collected in DiffEqDevTools.jl"
    ),
    listing="""
        a[2,1]=2/5
        a[3,1]=(-2889+1428*sqrt(5))/1024 a[3,2]=(3785-1620*sqrt(5))/1024
        a[4,1]=(-3365+2094*sqrt(5))/6040 a[4,2]=(-975-3046*sqrt(5))/2552
        a[4,3]=(467040+203968*sqrt(5))/240845
        b[1]=(263+24*sqrt(5))/1812 b[2]=(125-1000*sqrt(5))/3828
        b[3]=(3426304+1661952*sqrt(5))/5924787 b[4]=(30-4*sqrt(5))/123
    """,
)

# The embedded weights have order 5 for linear equations with constant coefficients, else 3.
method(
    "merson43",
    order=4,
    embedded_order=3,
    aliases=("merson", "kutta_merson"),
    source=(
        "R. H. Merson, An operational method for the study of integration processes (1957); "
        "coefficients as collected in nodepy"
    ),
    drawing="""
        0   |
        1/3 | 1/3
        1/3 | 1/6   1/6
        1/2 | 1/8   0    3/8
        1   | 1/2   0    -3/2  2
        ----+--------------------------
            | 1/6   0    0     2/3  1/6
            | 1/10  0    3/10  2/5  1/5
    """,
)

method(
    "zonneveld43",
    order=4,
    embedded_order=3,
    source=(
        "J. A. Zonneveld, Automatic integration of ordinary differential equations (1963); "
        "coefficients as collected in nodepy"
    ),
    drawing="""
        0   |
        1/2 | 1/2
        1/2 | 0     1/2
        1   | 0     0     1
        3/4 | 5/32  7/32  13/32  -1/32
        ----+--------------------------------
            | 1/6   1/3   1/3    1/6    0
            | -1/2  7/3   7/3    13/6   -16/3
    """,
)

method(
    "england45",
    order=4,
    embedded_order=5,
    source=(
        "R. England, Error estimates for Runge-Kutta type solutions to systems of ordinary "
        "differential equations (1969); coefficients as collected in deSolve"
    ),
    drawing="""
        0   |
        1/2 | 1/2
        1/2 | 1/4     1/4
        1   | 0       -1     2
        2/3 | 7/27    10/27  0        1/27
        1/5 | 28/625  -1/5   546/625  54/625  -378/625
        ----+--------------------------------------------------
            | 1/6     0      2/3      1/6     0         0
            | 1/24    0      0        5/48    27/56     125/336
    """,
)

# As Fehlberg meant it: a step of order 4, controlled by order 5. `fehlberg54` steps with order 5.
method(
    "fehlberg45",
    order=4,
    embedded_order=5,
    aliases=("rkf45",),
    source=(
        "E. Fehlberg, Low-order classical Runge-Kutta formulas with stepsize control and their "
        "application to some heat transfer problems (1969); coefficients as collected in "
        "DiffEqDevTools.jl"
    ),
    drawing="""
        0     |
        1/4   | 1/4
        3/8   | 3/32       9/32
        12/13 | 1932/2197  -7200/2197  7296/2197
        1     | 439/216    -8          3680/513    -845/4104
        1/2   | -8/27      2           -3544/2565  1859/4104    -11/40
        ------+-------------------------------------------------------------
              | 25/216     0           1408/2565   2197/4104    -1/5    0
              | 16/135     0           6656/12825  28561/56430  -9/50   2/55
    """,
)
