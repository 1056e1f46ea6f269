"""Masks of a store in the form that a trainer, an annotation tool or a dataset library reads."""
