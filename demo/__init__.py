# SPDX-License-Identifier: Apache-2.0
"""make demo: a GPU VM moves between two hosts while it serves a language model, measured and shown."""
