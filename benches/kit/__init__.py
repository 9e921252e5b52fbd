"""The side-by-side benchmark of the runner against its peers. See benches/README.md."""
