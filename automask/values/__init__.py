"""Values that travel through the program: immutable, checked when made, no input or output."""
