"""Asks the Messages API, and tries again at once if that fails: what not to do."""

import json
import urllib.error
import urllib.request

URL = "https://api.anthropic.com/v1/messages"
QUESTION = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Say hello."}],
}
HEADERS = {
    "content-type": "application/json",
    "x-api-key": "none",
    "anthropic-version": "2023-06-01",
}


def ask(attempts=5):
    """Return the answer's text."""
    for attempt in range(attempts):
        try:
            request = urllib.request.Request(URL, json.dumps(QUESTION).encode(), HEADERS)
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)["content"][0]["text"]
        except urllib.error.HTTPError as error:
            print("attempt", attempt + 1, "failed:", error.code)
    raise SystemExit("no answer")


print(ask())
