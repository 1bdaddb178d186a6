"""What a program's environment is to be, so that its clients use the proxy and trust it.

One table for ``faultinject run``, for ``ca instructions`` and for tests.
"""
