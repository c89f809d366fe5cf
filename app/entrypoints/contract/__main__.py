"""Write the published contract anew: `python -m app.entrypoints.contract`."""

from pathlib import Path

from app.entrypoints.bootstrap.contract import contract_files


def main(folder: Path) -> None:
    """Write every file of the contract, and take away the schemas of messages that are gone."""
    files = {folder / name: text for name, text in contract_files().items()}
    for path, text in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for path in (folder / "schemas").glob("*.json"):
        if path not in files:
            path.unlink()


if __name__ == "__main__":
    main(Path(__file__).parent)
