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

# Fehlberg's first formula of orders 3 and 4, stepping with order 4.
method(
    "fehlberg43",
    order=4,
    embedded_order=3,
    source=(
        "E. Fehlberg, Low-order classical Runge-Kutta formulas with stepsize control and their "
        "application to some heat transfer problems (1969); coefficients as collected in "
        "DiffEqDevTools.jl"
    ),
    drawing="""
        0   |
        1/4 | 1/4
        4/9 | 4/81    32/81
        6/7 | 57/98   -432/343  1053/686
        1   | 1/6     0         27/52     49/156
        ----+-------------------------------------------
            | 43/288  0         243/416   343/1872  1/12
            | 1/6     0         27/52     49/156    0
    """,
)

# Fehlberg's first formula of orders 4 and 5; `fehlberg45` is the second.
method(
    "fehlberg45_formula1",
    order=4,
    embedded_order=5,
    source=(
        "E. Fehlberg, Low-order classical Runge-Kutta formulas with stepsize control and their "
        "application to some heat transfer problems (1969); coefficients as collected in the "
        "Tracker Component Library"
    ),
    drawing="""
        0   |
        2/9 | 2/9
        1/3 | 1/12    1/4
        3/4 | 69/128  -243/128  135/64
        1   | -17/12  27/4      -27/5   16/15
        5/6 | 65/432  -5/16     13/16   4/27    5/144
        ----+----------------------------------------------
            | 1/9     0         9/20    16/45   1/12   0
            | 47/450  0         12/25   32/225  1/30   6/25
    """,
)

method(
    "cash_karp43",
    order=4,
    embedded_order=3,
    source=(
        "J. R. Cash and A. H. Karp, A variable order Runge-Kutta method for initial value "
        "problems with rapidly varying right-hand sides (1990); coefficients as collected in the "
        "Tracker Component Library"
    ),
    drawing="""
        0    |
        1/5  | 1/5
        3/10 | 3/40        9/40
        3/5  | 3/10        -9/10    6/5
        1    | -11/54      5/2      -70/27       35/27
        7/8  | 1631/55296  175/512  575/13824    44275/110592  253/4096
        -----+---------------------------------------------------------------
             | 2825/27648  0        18575/48384  13525/55296   277/14336  1/4
             | 19/54       0        -10/27       55/54         0          0
    """,
)

method(
    "sofroniou_spaletta43",
    order=4,
    embedded_order=3,
    source=(
        "M. Sofroniou and G. Spaletta, Construction of explicit Runge-Kutta pairs with stiffness "
        "detection (2004); coefficients as collected in ARKODE"
    ),
    drawing="""
        0   |
        2/5 | 2/5
        3/5 | -3/20            3/4
        1   | 19/44            -15/44           10/11
        1   | 11/72            25/72            25/72            11/72
        ----+--------------------------------------------------------------------------------
            | 11/72            25/72            25/72            11/72          0
            | 1251515/8970912  3710105/8970912  2519695/8970912  61105/8970912  119041/747576
    """,
)

method(
    "owren_zennaro43",
    order=4,
    embedded_order=3,
    aliases=("owrenzen4",),
    source=(
        "B. Owren and M. Zennaro, Derivation of efficient, continuous, explicit Runge-Kutta "
        "methods (1992); coefficients as collected in OrdinaryDiffEq.jl"
    ),
    drawing="""
        0     |
        1/6   | 1/6
        11/37 | 44/1369        363/1369
        11/17 | 3388/4913      -8349/4913  8140/4913
        13/15 | -36764/408375  767/1125    -32708/136125  210392/408375
        1     | 1697/18876     0           50653/116160   299693/1626240  3375/11648
        ------+------------------------------------------------------------------------
              | 1697/18876     0           50653/116160   299693/1626240  3375/11648  0
              | -929/9438      0           56129/58080    -363851/813120  3375/5824   0
    """,
)

# The explicit half of an additive method. Its error estimate is zero for y' = f(t).
method(
    "sayfy_aburub43",
    order=4,
    embedded_order=3,
    source=(
        "A. Sayfy and A. Aburub, Embedded additive Runge-Kutta methods (2002); coefficients as "
        "collected in ARKODE"
    ),
    listing="""
        a[2,1]=1/2
        a[3,1]=-1 a[3,2]=2
        a[4,1]=1/6 a[4,2]=2/3 a[4,3]=1/6
        a[5,1]=0.137 a[5,2]=0.226 a[5,3]=0.137
        a[6,1]=0.452 a[6,2]=-0.904 a[6,3]=-0.548 a[6,5]=2
        b[1]=1/6 b[2]=1/3 b[3]=1/12 b[5]=1/3 b[6]=1/12
        bhat[1]=1/6 bhat[2]=2/3 bhat[3]=1/6
    """,
)

# With a node of 1/100: nearly three stages, and large weights.
method(
    "shanks4",
    order=4,
    source=(
        "E. B. Shanks, Higher order approximations of Runge-Kutta type (1965); coefficients as "
        "collected in rklib"
    ),
    drawing="""
        0     |
        1/100 | 1/100
        3/5   | -4278/245  885/49
        1     | 8894/149   -532125/8791  16170/8791
        ------+----------------------------------------------
              | -23/9      50000/17523   1225/2124   149/1188
    """,
)

# The explicit half of an additive method, ARK4(3)6L[2]SA.
method(
    "kennedy_carpenter43",
    order=4,
    embedded_order=3,
    aliases=("ark436l2sa_erk",),
    source=(
        "C. A. Kennedy and M. H. Carpenter, Additive Runge-Kutta schemes for convection- "
        "diffusion-reaction equations (2003); coefficients as collected in ARKODE"
    ),
    listing="""
        a[2,1]=0.5
        a[3,1]=13861/62500 a[3,2]=6889/62500
        a[4,1]=-116923316275/2393684061468 a[4,2]=-2731218467317/15368042101831
        a[4,3]=9408046702089/11113171139209
        a[5,1]=-451086348788/2902428689909 a[5,2]=-2682348792572/7519795681897
        a[5,3]=12662868775082/11960479115383 a[5,4]=3355817975965/11060851509271
        a[6,1]=647845179188/3216320057751 a[6,2]=73281519250/8382639484533
        a[6,3]=552539513391/3454668386233 a[6,4]=3354512671639/8306763924573 a[6,5]=4040/17871
        b[1]=82889/524892 b[3]=15625/83664 b[4]=69875/102672 b[5]=-2260/8211 b[6]=1/4
        bhat[1]=4586570599/29645900160 bhat[3]=178811875/945068544 bhat[4]=814220225/1159782912
        bhat[5]=-3700637/11593932 bhat[6]=61727/225920
    """,
)

# The explicit half of an additive method, ARK4(3)7L[2]SA.
method(
    "kennedy_carpenter43_2019",
    order=4,
    embedded_order=3,
    aliases=("ark437l2sa_erk",),
    source=(
        "C. A. Kennedy and M. H. Carpenter, Higher-order additive Runge-Kutta schemes for "
        "ordinary differential equations (2019); coefficients as collected in ARKODE"
    ),
    listing="""
        a[2,1]=247/1000
        a[3,1]=247/4000 a[3,2]=2694949928731/7487940209513
        a[4,1]=464650059369/8764239774964 a[4,2]=878889893998/2444806327765
        a[4,3]=-952945855348/12294611323341
        a[5,1]=476636172619/8159180917465 a[5,2]=-1271469283451/7793814740893
        a[5,3]=-859560642026/4356155882851 a[5,4]=1723805262919/4571918432560
        a[6,1]=6338158500785/11769362343261 a[6,2]=-4970555480458/10924838743837
        a[6,3]=3326578051521/2647936831840 a[6,4]=-880713585975/1841400956686
        a[6,5]=-1428733748635/8843423958496
        a[7,1]=760814592956/3276306540349 a[7,2]=760814592956/3276306540349
        a[7,3]=-47223648122716/6934462133451 a[7,4]=71187472546993/9669769126921
        a[7,5]=-13330509492149/9695768672337 a[7,6]=11565764226357/8513123442827
        b[3]=9164257142617/17756377923965 b[4]=-10812980402763/74029279521829
        b[5]=1335994250573/5691609445217 b[6]=2273837961795/8368240463276 b[7]=247/2000
        bhat[3]=4469248916618/8635866897933 bhat[4]=-621260224600/4094290005349
        bhat[5]=696572312987/2942599194819 bhat[6]=1532940081127/5565293938103 bhat[7]=2441/20000
    """,
)

# Pseudo-symplectic: order 4, and quadratic invariants are kept to order 7.
method(
    "aubry_chartier4",
    order=4,
    aliases=("psrk4p7q6",),
    source=(
        "A. Aubry and P. Chartier, Pseudo-symplectic Runge-Kutta methods (1998); coefficients as "
        "collected in OrdinaryDiffEq.jl"
    ),
    listing="""
        a[2,1]=0.23593376536652
        a[3,1]=0.34750735658424 a[3,2]=-0.13561935398346
        a[4,1]=-0.20592852403227 a[4,2]=1.89179076622108 a[4,3]=-0.89775024478958
        a[5,1]=-0.09435493281455 a[5,2]=1.75617141223762 a[5,3]=-0.96707850476948
        a[5,4]=0.06932825997989
        a[6,1]=0.14157883255197 a[6,2]=-1.17039696277833 a[6,3]=1.30579112376331
        a[6,4]=-2.20354136855289 a[6,5]=2.92656837501595
        b[1]=0.07078941627598 b[2]=0.87808570611881 b[3]=-0.44887512239479 b[4]=-0.44887512239479
        b[5]=0.87808570611881 b[6]=0.07078941627598
    """,
)
