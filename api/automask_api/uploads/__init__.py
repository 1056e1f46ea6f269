"""Decoding of what strangers send: in processes of their own, with bounds on time and memory."""
