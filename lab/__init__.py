# SPDX-License-Identifier: Apache-2.0
"""Two or more Ferry hosts on one machine, each in a network namespace of its own."""
