"""What the subcommands of ``modyn-bench`` do; ``modyn_bench.cli`` parses their arguments."""
