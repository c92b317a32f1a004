"""Kernels of flow methods: numba for the CPU, torch for other devices."""
