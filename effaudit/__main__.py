"""`python -m effaudit`."""

from effaudit.cli import main

main()
