"""What others call these methods: ARKODE of SUNDIALS, TSRK of PETSc, and short names.

`get` finds a method by them; a name that nobody knows is compared with the others only.
"""

from keras_rk.tableaux.registry import also_called

for _name, _others in {
    "euler": ("arkode_forward_euler_1_1", "tsrk1fe"),
    "midpoint": ("tsrk2b",),
    "fehlberg12": ("rkf12",),
    "fehlberg21": ("rkf21",),
    "fehlberg23": ("rkf23",),
    "fehlberg34": ("rkf34",),
    "fehlberg43": ("rkf43",),
    "fehlberg56": ("rkf56",),
    "fehlberg65": ("rkf65",),
    "fehlberg67": ("rkf67",),
    "fehlberg76": ("rkf76",),
    "fehlberg89": ("rkf89",),
    "heun_euler21": ("arkode_heun_euler_2_1_2", "tsrk2a"),
    "ralston_euler21": ("arkode_ralston_euler_2_1_2",),
    "midpoint_euler21": ("arkode_explicit_midpoint_euler_2_1_2",),
    "ralston21": ("arkode_ralston_3_1_2",),
    "giraldo_kelly_constantinescu21": ("arkode_ark2_erk_3_1_2",),
    "bogacki_shampine32": ("arkode_bogacki_shampine_4_2_3", "tsrk3bs"),
    "kennedy_carpenter32": ("arkode_ark324l2sa_erk_4_2_3",),
    "shu_osher32": ("arkode_shu_osher_3_2_3",),
    "williamson3": ("arkode_knoth_wolke_3_3",),
    "petsc3": ("tsrk3",),
    "rk4": ("tsrk4",),
    "sofroniou_spaletta43": ("arkode_sofroniou_spaletta_5_3_4",),
    "zonneveld43": ("arkode_zonneveld_5_3_4",),
    "sayfy_aburub43": ("arkode_sayfy_aburub_6_3_4",),
    "kennedy_carpenter43": ("arkode_ark436l2sa_erk_6_3_4",),
    "kennedy_carpenter43_2019": ("arkode_ark437l2sa_erk_7_3_4",),
    "fehlberg54": ("arkode_fehlberg_6_4_5", "tsrk5f"),
    "carpenter_kennedy4": ("lsrk54",),
    "stepanov5": ("msrk5",),
    "stepanov6": ("msrk6",),
    "cash_karp54": ("arkode_cash_karp_6_4_5",),
    "dormand_prince54": ("arkode_dormand_prince_7_4_5", "tsrk5dp"),
    "bogacki_shampine54": ("tsrk5bs",),
    # whose error estimate, b - b_hat, is 33/20 of that of `tsitouras54`
    "tsitouras54": ("arkode_tsitouras_7_4_5",),
    "kennedy_carpenter54": ("arkode_ark548l2sa_erk_8_4_5",),
    "kennedy_carpenter54_2019": ("arkode_ark548l2sab_erk_8_4_5",),
    "dverk65": ("arkode_verner_8_5_6",),
    "verner65": ("arkode_verner_9_5_6",),
    "verner65_robust": ("tsrk6vr",),
    "verner76": ("arkode_verner_10_6_7",),
    "verner76_robust": ("tsrk7vr",),
    "fehlberg87": ("arkode_fehlberg_13_7_8",),
    "verner87": ("arkode_verner_13_7_8",),
    "verner87_robust": ("tsrk8vr",),
    "verner98": ("arkode_verner_16_8_9",),
}.items():
    also_called(_name, *_others)
