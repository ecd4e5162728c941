"""The commands of this repository. Nothing of them ends up in a service."""
