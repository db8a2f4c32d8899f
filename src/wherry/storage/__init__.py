"""Snapshots of layers behind one Protocol: overlay, vfs."""
