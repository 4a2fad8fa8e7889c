"""Whole models: another method, statistics estimated anew, what `fit` logs.

Imports `layers` and what is below it.
"""
