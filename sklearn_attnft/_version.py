# SPDX-License-Identifier: BSD-3-Clause
"""The version of the package. This module imports nothing, so all can import it."""

__version__ = "0.1.0"
