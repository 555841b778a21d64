"""What do only the chapters import? Their pictures, their exercises' checks, their data."""
