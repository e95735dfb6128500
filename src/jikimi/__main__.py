"""`python -m jikimi`: what torchrun and other launchers start."""

from jikimi.cli import main

if __name__ == "__main__":
    main()
