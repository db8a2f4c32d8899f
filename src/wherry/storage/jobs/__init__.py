"""What the worker process runs: one module for each job, each importing no more than it needs."""
