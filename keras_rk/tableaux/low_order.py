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

# As Fehlberg meant it: a step of order 1, controlled by order 2. `fehlberg21` steps with order 2.
method(
    "fehlberg12",
    order=1,
    embedded_order=2,
    source=(
        "E. Fehlberg, Low-order classical Runge-Kutta formulas with stepsize control and their "
        "application to some heat transfer problems (1969); coefficients as collected in the "
        "Tracker Component Library"
    ),
    drawing="""
        0   |
        1/2 | 1/2
        1   | 1/256  255/256
        ----+----------------------
            | 1/256  255/256  0
            | 1/512  255/256  1/512
    """,
)

# `heun2`, controlled by Euler's method.
method(
    "heun_euler21",
    order=2,
    embedded_order=1,
    aliases=("adaptive_heun",),
    source=(
        "K. Heun, Neue Methoden zur approximativen Integration der Differentialgleichungen einer "
        "unabhängigen Veränderlichen (1900); as a pair with Euler's method as collected in ARKODE"
    ),
    drawing="""
        0 |
        1 | 1
        --+---------
          | 1/2  1/2
          | 1    0
    """,
)

# `ralston2`, controlled by Euler's method.
method(
    "ralston_euler21",
    order=2,
    embedded_order=1,
    source=(
        "A. Ralston, Runge-Kutta methods with minimum error bounds (1962); as a pair with Euler's "
        "method as collected in ARKODE"
    ),
    drawing="""
        0   |
        2/3 | 2/3
        ----+---------
            | 1/4  3/4
            | 1    0
    """,
)

# `midpoint`, controlled by Euler's method.
method(
    "midpoint_euler21",
    order=2,
    embedded_order=1,
    source=(
        "C. Runge, Ueber die numerische Auflösung von Differentialgleichungen (1895); as a pair "
        "with Euler's method as collected in ARKODE"
    ),
    drawing="""
        0   |
        1/2 | 1/2
        ----+-------
            | 0    1
            | 1    0
    """,
)

# `ralston2`, controlled by weights of order 1 that need a third stage.
method(
    "ralston21",
    order=2,
    embedded_order=1,
    source=(
        "A. Ralston, Runge-Kutta methods with minimum error bounds (1962); embedded weights as "
        "collected in ARKODE"
    ),
    drawing="""
        0   |
        2/3 | 2/3
        1   | 1/4   3/4
        ----+------------------
            | 1/4   3/4  0
            | 5/37  2/3  22/111
    """,
)

method(
    "fehlberg21",
    order=2,
    embedded_order=1,
    aliases=("fehlberg2",),
    source=(
        "E. Fehlberg, Low-order classical Runge-Kutta formulas with stepsize control and their "
        "application to some heat transfer problems (1969); coefficients as collected in the "
        "Tracker Component Library"
    ),
    drawing="""
        0   |
        1/2 | 1/2
        1   | 1/256  255/256
        ----+----------------------
            | 1/512  255/256  1/512
            | 1/256  255/256  0
    """,
)

# As Fehlberg meant it: a step of order 2, controlled by order 3.
method(
    "fehlberg23",
    order=2,
    embedded_order=3,
    source=(
        "E. Fehlberg, Low-order classical Runge-Kutta formulas with stepsize control and their "
        "application to some heat transfer problems (1969); coefficients as collected in the "
        "Tracker Component Library"
    ),
    drawing="""
        0     |
        1/4   | 1/4
        27/40 | -189/800  729/800
        1     | 214/891   1/33     650/891
        ------+-----------------------------------
              | 214/891   1/33     650/891   0
              | 41/162    0        800/1053  -1/78
    """,
)

# The explicit half of an additive method, ARK2.
method(
    "giraldo_kelly_constantinescu21",
    order=2,
    embedded_order=1,
    aliases=("ark2_erk",),
    source=(
        "F. X. Giraldo, J. F. Kelly and E. M. Constantinescu, Implicit-explicit formulations of a "
        "three-dimensional nonhydrostatic unified model of the atmosphere (NUMA) (2013); "
        "coefficients as collected in ARKODE"
    ),
    drawing="""
        0           |
        2 - sqrt(2) | 2 - sqrt(2)
        1           | (3 - 2*sqrt(2))/6  (3 + 2*sqrt(2))/6
        ------------+------------------------------------------------------
                    | sqrt(2)/4          sqrt(2)/4          (2 - sqrt(2))/2
                    | (4 - sqrt(2))/8    (4 - sqrt(2))/8    sqrt(2)/4
    """,
)

# As Fehlberg meant it: a step of order 3, controlled by order 4. Of his two formulas, the second;
# `fehlberg43` is the first, with order 4 for the step.
method(
    "fehlberg34",
    order=3,
    embedded_order=4,
    source=(
        "E. Fehlberg, Low-order classical Runge-Kutta formulas with stepsize control and their "
        "application to some heat transfer problems (1969); coefficients as collected in the "
        "Tracker Component Library"
    ),
    drawing="""
        0     |
        2/7   | 2/7
        7/15  | 77/900    343/900
        35/38 | 805/1444  -77175/54872  97125/54872
        1     | 79/490    0             2175/3626    2166/9065
        ------+-------------------------------------------------------
              | 79/490    0             2175/3626    2166/9065    0
              | 229/1470  0             1125/1813    13718/81585  1/18
    """,
)

method(
    "cash_karp32",
    order=3,
    embedded_order=2,
    source=(
        "J. R. Cash and A. H. Karp, A variable order Runge-Kutta method for initial value "
        "problems with rapidly varying right-hand sides (1990); coefficients as collected in the "
        "Tracker Component Library"
    ),
    drawing="""
        0    |
        1/5  | 1/5
        3/10 | 3/40   9/40
        3/5  | 3/10   -9/10  6/5
        -----+----------------------------
             | 19/54  0      -10/27  55/54
             | -3/2   5/2    0       0
    """,
)

# The collection has b and b_hat exchanged, under the name RK3(2)4.
method(
    "sharp_smart32",
    order=3,
    embedded_order=2,
    source=(
        "P. W. Sharp and E. Smart, Explicit Runge-Kutta pairs with one more derivative evaluation "
        "than the minimum (1993); coefficients as collected in nodepy"
    ),
    drawing="""
        0   |
        1/4 | 1/4
        3/5 | -387/625  762/625
        1   | 1/5       1/5      3/5
        ----+-----------------------------
            | -1/90     8/15     5/18  1/5
            | 1/10      2/5      1/4   1/4
    """,
)

method(
    "owren_zennaro32",
    order=3,
    embedded_order=2,
    aliases=("owrenzen3",),
    source=(
        "B. Owren and M. Zennaro, Derivation of efficient, continuous, explicit Runge-Kutta "
        "methods (1992); coefficients as collected in OrdinaryDiffEq.jl"
    ),
    drawing="""
        0     |
        12/23 | 12/23
        4/5   | -68/375  368/375
        1     | 31/144   529/1152  125/384
        ------+------------------------------
              | 31/144   529/1152  125/384  0
              | 7/18     -23/576   125/192  0
    """,
)

# Pseudo-symplectic: order 3, and quadratic invariants are kept to order 5.
method(
    "aubry_chartier3",
    order=3,
    aliases=("psrk3p5q4",),
    source=(
        "A. Aubry and P. Chartier, Pseudo-symplectic Runge-Kutta methods (1998); coefficients as "
        "collected in OrdinaryDiffEq.jl"
    ),
    drawing="""
        0   |
        3/8 | 3/8
        1/4 | 11/12  -2/3
        1   | -1/12  11/6  -3/4
        ----+-----------------------
            | 1/9    8/9   -2/9  2/9
    """,
)

# The explicit half of an additive method, ARK3(2)4L[2]SA.
method(
    "kennedy_carpenter32",
    order=3,
    embedded_order=2,
    aliases=("ark324l2sa_erk",),
    source=(
        "C. A. Kennedy and M. H. Carpenter, Additive Runge-Kutta schemes for convection- "
        "diffusion-reaction equations (2003); coefficients as collected in ARKODE"
    ),
    listing="""
        a[2,1]=0.8717330430169179988320389023871136850586
        a[3,1]=0.52758901197630041156180797140291790433
        a[3,2]=0.07241098802369958843819202859708209566999
        a[4,1]=0.3990960076760701320627260736092142797856
        a[4,2]=-0.437557654613519443722846363831022571942
        a[4,3]=1.038461646937449311660120290221808292156
        b[1]=0.1876410243467238251612921441668043913795
        b[2]=-0.5952974735769549480478230275858851737782
        b[3]=0.9717899277217721234705114322255239398694
        b[4]=0.4358665215084589994160194511935568425293
        bhat[1]=0.2147402862233891404862383406484193714659
        bhat[2]=-0.4851622638849390928209050808398155895845
        bhat[3]=0.86872500252038755116621237682951240796
        bhat[4]=0.4016969751411624011684543633618838101586
    """,
)

method(
    "petsc3",
    order=3,
    source=(
        "J. C. Butcher, Numerical Methods for Ordinary Differential Equations (2008), the family "
        "with c_2 = c_3 = 2/3; its member b_3 = 1/4 as collected in PETSc"
    ),
    drawing="""
        0   |
        2/3 | 2/3
        2/3 | -1/3  1
        ----+---------------
            | 1/4   1/2  1/4
    """,
)
