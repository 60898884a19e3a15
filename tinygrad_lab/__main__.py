"""``python -m tinygrad_lab`` is ``tinygrad-lab``."""

from tinygrad_lab.cli import main

if __name__ == "__main__":
    main(prog_name="tinygrad-lab")
