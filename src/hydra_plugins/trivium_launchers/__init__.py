"""Hydra's plugin point for launchers: one failed job never stops the others under any of them."""
