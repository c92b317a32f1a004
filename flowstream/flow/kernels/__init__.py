"""What computes: numba kernels for CPUs, torch kernels for everything else."""
