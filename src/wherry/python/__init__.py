"""`import wherry`: the library for Python programs, in two twins over one description of the API's calls.

`records`, `options`, `frames` and the rest are shared; `asynchronous` is written by hand, `blocking` is made from it by
scripts/twins, so that neither knows what the other does not. `local` runs an engine in this process.
"""
