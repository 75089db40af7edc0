"""The commands on anyone's data: read a panel from a file, backtest or forecast it, write what came of it."""
