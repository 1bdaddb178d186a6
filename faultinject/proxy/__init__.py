"""One session, from accepted connection to its close."""
