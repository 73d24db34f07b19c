"""The command line `sfm`."""
