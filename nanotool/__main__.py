"""`python -m nanotool` is `nanotool`."""

from nanotool.cli import main

main()
