"""Losses as pure functions of tensors: the paper's own, and those that go beyond it."""
