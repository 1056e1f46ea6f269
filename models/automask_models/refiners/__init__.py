"""Refiners: from regions to the exact unwanted pixels."""
