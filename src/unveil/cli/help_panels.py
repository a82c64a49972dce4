"""What the help of all commands shares: the panels of options, and what exit codes mean.

Options that stay in no panel are those that a command is mostly called with; the same option is in the same panel in
every command.
"""

from __future__ import annotations

EXIT_CODES = "Exit codes: 0 done; 1 done, but problems were found; 2 wrong input or usage; 130 interrupted."

QUERY = "Query"
ROWS = "Which rows of a gallery"
ATTRIBUTES = "What people wear and carry"
AUDIT = "Audit log"
VIDEO = "Videos and live streams"
CALIBRATION = "Calibration"
ADAPTING = "Learning and evaluation"
PARSING = "Human parsing"
OCCLUSION = "Occlusion"
ACCESS = "Access"
LIMITS = "Limits"
OUTPUT = "Output"
EXECUTION = "Execution"
BULK = "Many crops, several processes or machines"
STORE = "Store of galleries"
