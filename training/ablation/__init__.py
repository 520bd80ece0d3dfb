"""What each loss buys: shifts optimised directly under losses with one term left out or added."""
