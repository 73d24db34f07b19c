"""Index structures that live in the process, for backends that cannot search by themselves.

Each numbers what it holds by *slots*: 0, 1, 2 … in the order of adding. A slot
is never used twice; what is removed leaves a gap, so an owner with many gaps
builds the structure anew.
None of them locks: their owner lets one thread in at a time.
"""
