# SPDX-License-Identifier: BSD-3-Clause
"""The version, where every module may read it."""

__version__ = "0.1.0"
