"""Training as a command: presets, batches, the loop, and what it writes."""
