"""The Butcher tableau: how it is read and written in each format, printed, and turned into arrays.

Imports `numbers` and what is below it.
"""
