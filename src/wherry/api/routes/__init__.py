"""The routes: each parses, calls the engine, answers."""
