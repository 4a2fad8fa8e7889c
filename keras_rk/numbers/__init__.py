"""Exact numbers, and the grammar of the text that stands for them.

Imports nothing of keras_rk but `errors`.
"""
