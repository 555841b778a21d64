"""How is somebody else's layer called? In whatever way it wants, within a time limit."""
