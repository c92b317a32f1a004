"""Modules that several models share, one idea per file; they do not import models."""
