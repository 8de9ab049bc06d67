# SPDX-License-Identifier: Apache-2.0
"""What pyopencl's arrays, functions, reductions, scans, algorithms and random numbers give: one digest a line."""
import hashlib

import numpy as np
import pyopencl as cl
import pyopencl.array as cl_array
import pyopencl.clmath as cl_math
import pyopencl.clrandom as cl_random
from pyopencl.algorithm import RadixSort, copy_if
from pyopencl.reduction import ReductionKernel
from pyopencl.scan import ExclusiveScanKernel, InclusiveScanKernel

N = 100_000


def show(name, values):
    print(name, hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16], flush=True)


def main():
    context = cl.create_some_context(interactive=False)
    queue = cl.CommandQueue(context)

    x = cl_array.arange(queue, N, dtype=np.float32)
    show("arithmetic", ((x + 3) * x - x / 7).get())
    show("sin", cl_math.sin(x).get())
    show("sum", cl_array.sum(x * 2, dtype=np.float64).get())
    show("dot", cl_array.dot(x, x, dtype=np.float64).get())
    show("max", cl_array.max(x).get())
    product = ReductionKernel(context, np.float32, neutral="0", reduce_expr="a+b", map_expr="x[i]*y[i]",
                              arguments="__global float *x, __global float *y")
    show("reduction", product(x, x).get())

    scanned = cl_array.arange(queue, N, dtype=np.int64)
    InclusiveScanKernel(context, np.int64, "a+b", neutral="0")(scanned)
    show("inclusive scan", scanned.get())
    assert scanned.get()[-1] == N * (N - 1) // 2
    ExclusiveScanKernel(context, np.int64, "a+b", neutral="0")(scanned)
    show("exclusive scan", scanned.get())

    for make in (cl_random.PhiloxGenerator, cl_random.ThreefryGenerator):
        generator = make(context, seed=7)
        show(make.__name__, generator.uniform(queue, N, np.float32).get())
        show(make.__name__ + " normal", generator.normal(queue, N, np.float32).get())

    numbers = generator.uniform(queue, N, np.float32)
    chosen, count, _ = copy_if(numbers, "ary[i] > 0.5")
    show("copy_if", chosen.get()[:int(count.get())])
    integers = (numbers * 1_000_000).astype(np.int32)
    sort = RadixSort(context, "__global int *ary", key_expr="ary[i]", sort_arg_names=["ary"], key_dtype=np.int32)
    (ordered,), _ = sort(integers, key_bits=20)
    show("radix sort", ordered.get())
    assert (np.sort(integers.get()) == ordered.get()).all()


main()
