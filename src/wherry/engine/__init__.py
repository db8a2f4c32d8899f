"""The hall: one verb, one file. A verb takes the Engine, a record of rooms, and acts on containers."""
