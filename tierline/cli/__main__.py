"""``python -m tierline.cli`` is ``tierline``."""

from tierline.cli import main

if __name__ == "__main__":
    main()
