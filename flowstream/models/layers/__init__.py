"""Parts that several models share, one idea a file."""
