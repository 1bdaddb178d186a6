"""The demonstration: the proxy's main job on embedded parts, told while it happens.

`stage` holds the parts, `client` asks, `story` is what happens and checks that it did, `watching`
and `screen` show it.
"""
