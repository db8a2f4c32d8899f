"""The library of images: references, content, pull, push, unpack, load, save, import, removal."""
