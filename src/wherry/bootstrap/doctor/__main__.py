"""`python -m wherry.bootstrap.doctor` is what `wherry doctor` runs."""

import sys

from wherry.bootstrap.doctor.report import main

sys.exit(main(sys.argv[1:]))
