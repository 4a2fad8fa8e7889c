"""The Butcher tableau: how it is read, printed, and turned into arrays.

Imports `numbers` and what is below it.
"""
