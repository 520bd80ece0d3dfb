"""The 68-point network: data, training and measurement."""
