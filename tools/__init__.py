"""What ships the project: each file is a command that the Makefile calls."""
