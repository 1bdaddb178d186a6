"""What the real SDKs' users see of each preset: cases, the programs that ask, and the table."""
