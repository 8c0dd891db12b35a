"""Script that Streamlit runs for each view of a page, under `spimpack ui` or `streamlit run`.

Arguments follow `--`: `--root DIR` for each folder that may be seen, and `--manifest FILE`.
"""

from spimpack_tasks.ui.shell import main

main()
