"""What Streamlit runs for each look at a page: `spimpack ui` has it run, or `streamlit run` does.

Arguments stand behind `--`: `--root DIR` for each folder that may be seen, and `--manifest FILE`.
"""

from spimpack_tasks.ui.shell import main

main()
