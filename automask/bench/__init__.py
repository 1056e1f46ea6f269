"""Leak and waste of the whole pipeline on images with truth."""
