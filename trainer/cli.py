"""`leuko-train` as a program; what it can do is in command_list.py, and is loaded when signals are heeded."""

from edge.contracts.entry_point import run_command_line


def main() -> None:
    """Entry point."""
    run_command_line(_commands, "trainer")


def _commands() -> None:
    from trainer.command_list import app

    app()


if __name__ == "__main__":
    main()
