"""The one place where a mask is drawn: merging what was found, rendering it, correcting it, judging it."""
