"""Run the command line with `python -m wmsforge`."""

from wmsforge.cli import main

main()
