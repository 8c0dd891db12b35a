"""CPU seconds of `import spimpack_tasks` beside `import luigi`, byte-code compiled, in turns.

python benchmarks/import_cost.py
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

ROUNDS = 15


def cpu_seconds(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    cpu_seconds("import spimpack_tasks")  # compiles what is not compiled yet
    pairs = [
        (cpu_seconds("import luigi"), cpu_seconds("import spimpack_tasks")) for _ in range(ROUNDS)
    ]
    luigi, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"import luigi {luigi:.3f} s, import spimpack_tasks {ours:.3f} s, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
