"""The upstream's side: dial, keep, lend; and a fake API in its place."""
