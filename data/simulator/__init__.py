"""A simulated live-video network: the same seed, the same bytes, and a truth to hold findings against.

`simulate(SimulationOptions(...))` gives tables in the contract's columns. Nothing here is measured: the cities are real, the
partners, the traffic and the incidents are invented, and every snapshot, ledger row and event that comes of it says so
(`simulator`).
"""

from data.simulator.options import SIMULATOR_MARK, SimulationOptions
from data.simulator.simulation import Day, Simulation, simulate

__all__ = ["SIMULATOR_MARK", "Day", "Simulation", "SimulationOptions", "simulate"]
