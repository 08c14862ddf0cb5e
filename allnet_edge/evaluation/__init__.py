"""Judging one network on one part of a split: what it saw before, its figures, its shortcuts."""
