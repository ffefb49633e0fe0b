"""Augmentations of image batches, one family of operations per file."""
