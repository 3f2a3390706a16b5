"""What `wa-worker dev` and the tests need; never imported by `run`."""
