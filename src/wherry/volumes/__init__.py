"""Volumes behind one Protocol: local."""
