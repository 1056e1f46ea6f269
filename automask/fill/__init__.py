"""Ways out for trainers without masks: images with the unwanted parts painted over or cut off."""
