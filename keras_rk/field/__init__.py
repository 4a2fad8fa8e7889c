"""The vector field f: a layer as a pure function of its variables, with its state and noise.

Imports `loops` and `errors`.
"""
