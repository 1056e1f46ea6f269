"""The ink network: which pixels of a picture are lettering or marks that were put on top of it."""
