"""Views: batched augmentations and maskings on tensors, random per sample, run on any device."""
