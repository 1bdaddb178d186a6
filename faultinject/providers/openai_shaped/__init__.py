"""The APIs that are shaped like OpenAI's, each with words, headers and failures of its own."""
