"""`python -m wherry.bootstrap` is `wherryd`."""

from wherry.bootstrap.main import main

main()
