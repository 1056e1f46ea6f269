"""automask: loss masks that keep a diffusion model from learning text, frames and watermarks."""
