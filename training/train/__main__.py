"""`python -m training.train`."""

from training.train.cli import main

main()
