"""What a tableau is good for: its stability.

Imports `proof` and what is below it; never Keras.
"""
