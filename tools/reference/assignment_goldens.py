#!/usr/bin/env python3
"""Goldens for the linear assignment solver, from SciPy.

    pip install numpy scipy && python tools/reference/assignment_goldens.py

Costs are not stored: both sides draw them from the same 32-bit generator (mulberry32), so the file stays small.
"""

import json
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

OUT = Path(__file__).resolve().parents[2] / "packages/rfdetr/src/loss/fixtures/assignment.json"


def mulberry32(seed):
    state = seed & 0xFFFFFFFF
    while True:
        state = (state + 0x6D2B79F5) & 0xFFFFFFFF
        t = ((state ^ (state >> 15)) * (state | 1)) & 0xFFFFFFFF
        t ^= (t + (((t ^ (t >> 7)) * (t | 61)) & 0xFFFFFFFF)) & 0xFFFFFFFF
        yield ((t ^ (t >> 14)) & 0xFFFFFFFF) / 4294967296


def costs(seed, rows, columns, levels):
    """levels == 0: continuous costs; otherwise whole numbers below `levels`, so that ties abound."""
    draw = mulberry32(seed)
    values = np.array([next(draw) for _ in range(rows * columns)])
    values = np.floor(values * levels) if levels else values * 20 - 5
    return values.reshape(rows, columns)


def main():
    shapes = [
        (1, 1),
        (1, 9),
        (9, 1),
        (7, 7),
        (40, 12),
        (12, 40),
        (100, 100),
        (300, 8),
        (300, 60),
        (60, 300),
        (50, 120),
        (120, 50),
    ]
    cases = []
    seed = 1
    for rows, columns in shapes:
        for levels in (0, 2, 5, 40):
            matrix = costs(seed, rows, columns, levels)
            r, c = linear_sum_assignment(matrix)
            cases.append(
                {
                    "seed": seed,
                    "rows": rows,
                    "columns": columns,
                    "levels": levels,
                    "row_index": r.tolist(),
                    "column_index": c.tolist(),
                }
            )
            seed += 1
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(cases, separators=(",", ":")) + "\n")
    print(f"{len(cases)} cases, {OUT.stat().st_size} bytes -> {OUT}")


if __name__ == "__main__":
    main()
