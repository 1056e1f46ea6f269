"""Detectors of watermarks, logos, signatures and date stamps."""
