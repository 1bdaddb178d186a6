"""Which part of the package may import which; docs/design.md draws the same floors."""
