"""What is proved of a tableau: rooted trees, order conditions, `check` and its report.

Imports `tableaux`, `butcher` and what is below them.
"""
