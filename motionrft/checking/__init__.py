"""What things are and whether they fit together, said before any of it is loaded: `motionrft check`."""
