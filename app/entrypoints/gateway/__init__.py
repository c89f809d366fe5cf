"""HTTP in, command out; views out, to whoever polls, waits or follows a stream."""
