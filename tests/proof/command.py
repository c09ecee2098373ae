"""`lockstep` as anybody runs it; its largest memory is left in a file at its end.

The kernel's own figure for a child that has ended begins with its parent's memory.
"""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path

from tests.proof.processes import peak_of

if __name__ == "__main__":
    file = Path(os.environ.pop("PROOF_PEAK"))
    atexit.register(lambda: file.write_text(str(peak_of("self"))))

    from app.cli import main

    sys.argv[0] = "lockstep"
    main()
