"""Styles of drawing a flow field, one file each; `flowstream.view.STYLES` is their table."""
