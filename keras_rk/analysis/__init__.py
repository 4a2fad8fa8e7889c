"""What a tableau is good for: its stability, and the structure that it conserves.

Imports `proof` and what is below it; never Keras.
"""
