"""Decoding of what strangers send: in processes of their own, with bounds on time and memory."""

YIELDS = "--yields"
"""Argument of a decoding process that lets everything else on the machine go first."""
