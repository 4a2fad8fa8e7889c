"""What a tableau is good for: `keras_rk.analyse`, and each property by itself in its module.

Imports `proof` and what is below it; never Keras.
"""
