"""python -m keras_rk: the command keras-rk, for where scripts are not on the path."""

import sys

from keras_rk.cli import main

if __name__ == "__main__":
    sys.exit(main())
