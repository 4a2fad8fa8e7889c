"""Methods of orders 1 to 3."""

from keras_rk.tableaux.registry import method

method(
    "euler",
    order=1,
    aliases=("forward_euler", "explicit_euler"),
    source="L. Euler, Institutiones calculi integralis (1768)",
    drawing="""
        0 |
        --+--
          | 1
    """,
)

method(
    "midpoint",
    order=2,
    aliases=("explicit_midpoint",),
    source="C. Runge, Ueber die numerische Auflösung von Differentialgleichungen (1895)",
    drawing="""
        0   |
        1/2 | 1/2
        ----+-------
            | 0    1
    """,
)

# As SSP(2,2) it is the optimal two-stage method of C.-W. Shu and S. Osher (1988).
method(
    "heun2",
    order=2,
    aliases=("heun", "explicit_trapezoid", "ssprk22"),
    source=(
        "K. Heun, Neue Methoden zur approximativen Integration der Differentialgleichungen "
        "einer unabhängigen Veränderlichen (1900)"
    ),
    drawing="""
        0 |
        1 | 1
        --+---------
          | 1/2  1/2
    """,
)

method(
    "ralston2",
    order=2,
    aliases=("ralston",),
    source="A. Ralston, Runge-Kutta methods with minimum error bounds (1962)",
    drawing="""
        0   |
        2/3 | 2/3
        ----+---------
            | 1/4  3/4
    """,
)

method(
    "kutta3",
    order=3,
    source=(
        "W. Kutta, Beitrag zur näherungsweisen Integration totaler Differentialgleichungen (1901)"
    ),
    drawing="""
        0   |
        1/2 | 1/2
        1   | -1   2
        ----+--------------
            | 1/6  2/3  1/6
    """,
)

method(
    "heun3",
    order=3,
    source=(
        "K. Heun, Neue Methoden zur approximativen Integration der Differentialgleichungen "
        "einer unabhängigen Veränderlichen (1900)"
    ),
    drawing="""
        0   |
        1/3 | 1/3
        2/3 | 0    2/3
        ----+--------------
            | 1/4  0    3/4
    """,
)

method(
    "ralston3",
    order=3,
    source="A. Ralston, Runge-Kutta methods with minimum error bounds (1962)",
    drawing="""
        0   |
        1/2 | 1/2
        3/4 | 0    3/4
        ----+--------------
            | 2/9  1/3  4/9
    """,
)

method(
    "bogacki_shampine32",
    order=3,
    embedded_order=2,
    aliases=("bs32", "bs3"),
    source="P. Bogacki and L. F. Shampine, A 3(2) pair of Runge-Kutta formulas (1989)",
    drawing="""
        0   |
        1/2 | 1/2
        3/4 | 0     3/4
        1   | 2/9   1/3  4/9
        ----+--------------------
            | 2/9   1/3  4/9  0
            | 7/24  1/4  1/3  1/8
    """,
)
