"""Our compiled models beside other runtimes."""
