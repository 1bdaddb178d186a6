"""What is known of each API: how it is recognised, words its failures and writes its streams.

Data and small functions; `faultinject.providers.provider` says what there is, and
`faultinject.providers.known` has all of them.
"""
