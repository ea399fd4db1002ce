"""Prints tests/data/float8.txt: all 8-bit floats that torch knows of the two formats, as singles' bits.

A line per byte: the byte, the value of float8_e4m3fn and of float8_e5m2, in hexadecimal. Needs torch.
Usage: make_float8.py > tests/data/float8.txt
"""
import torch

every = torch.arange(256, dtype=torch.uint8)
print(f"# written by tests/oracle/make_float8.py with torch {torch.__version__}: byte, E4M3, E5M2")
columns = [every.view(kind).to(torch.float32).view(torch.int32).tolist()
           for kind in (torch.float8_e4m3fn, torch.float8_e5m2)]
for byte, e4m3, e5m2 in zip(every.tolist(), *columns):
    print(f"{byte:02x} {e4m3 & 0xFFFFFFFF:08x} {e5m2 & 0xFFFFFFFF:08x}")
