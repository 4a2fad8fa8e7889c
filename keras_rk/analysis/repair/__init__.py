"""What would mend a tableau that fails its check: the changes that were tried and hold.

`mending` asks the modules of this folder for changes (`entries`: one unknown coefficient, solved
for; `rows`: beside given nodes; `arrangements`; `decimals`; `pairs`: two at once), has each of
them proved, and sorts them. Imports `proof` and what is below it.
"""
