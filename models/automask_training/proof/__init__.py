"""What a small diffusion model learns with and without masks: `python -m automask_training.proof` (docs/proof.md)."""
