"""What is found of real SDKs and agents, and the table of it in docs/findings.md."""
