"""One interface to a memory in this process and to one behind HTTP."""
