"""What a stranger can still learn from a result: whoever made it, measured by models that took no part in making it."""
