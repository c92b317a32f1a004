"""Facts about a network before it is trained: sizes, receptive fields, operations, memory."""
