"""NumPy's side of tests/numpy.rs: writes arrays for us to read, and reads ours.

A line of a manifest is: file, type, order (c or fortran), shape (2x3, or scalar), the data's bytes in hex as they lie
in the file (- for none). Item k, counted in C order, is 3 k + 1 (complex: 3 k + 1 - 2 (3 k + 1) i, truth: odd or not).
"""

import os
import sys

import numpy

SHAPES = [(), (0,), (3, 0, 2), (5,), (2, 3), (3, 1, 4), (2, 3, 2, 2)]
TYPES = ["?", "b", "B", "h", "H", "i", "I", "l", "L", "q", "Q", "e", "f", "d", "g", "F", "D", "G"]


def filled(dtype, shape, order):
    numbers = 3 * numpy.arange(int(numpy.prod(shape))) + 1
    if dtype.kind == "b":
        items = numbers % 2 == 1
    elif dtype.kind == "c":
        items = numbers - 2j * numbers
    else:
        items = numbers
    return numpy.asarray(items.reshape(shape).astype(dtype), order=order)


def line(name, array, order):
    shape = "x".join(map(str, array.shape)) or "scalar"
    data = array.tobytes("F" if order == "fortran" else "C").hex() or "-"
    return f"{name} {array.dtype.str} {order} {shape} {data}\n"


def write(path):
    """Arrays of every type, order of bytes, order of items, shape and version of the format; and what is refused."""
    lines = []
    for code in TYPES:
        for sign in "<>":
            dtype = numpy.dtype(code).newbyteorder(sign)
            for shape in SHAPES:
                for order in "CF":
                    array = filled(dtype, shape, order)
                    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
                    name = f"{len(lines)}.npy"
                    version = [(1, 0), (2, 0), (3, 0), None][len(lines) % 4]
                    with open(os.path.join(path, name), "wb") as file:
                        if version is None:
                            numpy.save(file, array, allow_pickle=False)
                        else:
                            numpy.lib.format.write_array(file, array, version, allow_pickle=False)
                    lines.append(line(name, array, "fortran" if fortran else "c"))
    with open(os.path.join(path, "manifest"), "w") as file:
        file.writelines(lines)
    refused = {
        "object": numpy.array([{}, []], dtype=object),
        "string": numpy.array(["text"]),
        "bytes": numpy.array([b"text"]),
        "date": numpy.array(["2026-11-27"], dtype="M8[D]"),
        "record": numpy.zeros(2, dtype=[("a", "<i4"), ("b", "<f8")]),
        "void": numpy.zeros(2, dtype="V3"),
    }
    for name, array in refused.items():
        numpy.save(os.path.join(path, f"refused-{name}.npy"), array, allow_pickle=True)


def read(path):
    """What the manifest says stands in our files, bytes and items."""
    with open(os.path.join(path, "manifest")) as file:
        lines = file.readlines()
    for expected in lines:
        name, dtype, order, shape, _ = expected.split()
        array = numpy.load(os.path.join(path, name), allow_pickle=False)
        assert line(name, array, order) == expected, f"{line(name, array, order)} != {expected}"
        shape = () if shape == "scalar" else tuple(map(int, shape.split("x")))
        same = filled(numpy.dtype(dtype), shape, "C")
        assert array.shape == same.shape and (array == same).all(), f"{array} != {same}"
        if order == "fortran":
            assert array.flags.f_contiguous, expected
        else:
            assert array.flags.c_contiguous, expected
    print(f"numpy {numpy.__version__} read {len(lines)} arrays")


{"write": write, "read": read}[sys.argv[1]](sys.argv[2])
