"""Whole models: another method or depth, statistics estimated anew, what `fit` logs.

Imports `layers` and what is below it.
"""
