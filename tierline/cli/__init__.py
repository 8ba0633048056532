def main() -> None:
    """Entry point; replaced by the Typer app."""
