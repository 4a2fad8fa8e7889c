"""Steps of a method along a vector field, with fixed or learned coefficients.

Imports `field` and `loops`, and of the exact side `proof` and what is below it.
"""
