"""A small fake API: the upstream of ``--fake-upstream`` and of the demonstration."""
