"""`python -m wherry` is the command line."""

from wherry.cli.main import main

main()
