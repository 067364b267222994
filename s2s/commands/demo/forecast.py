"""The demo of forecasts."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s2s.training.cli import Fitted


def show(fitted: "Fitted") -> None:
    """Errors, beside those of the naive and the seasonal naive forecast, and the forecast of the whole test part."""
    from s2s.evaluation.forecasts import table

    module: Any = fitted.module
    print("Forecasting the test part, the last months of the series.")
    print("\n".join(table(module.backtests("test"), module.data.target_names)))
    module.write_forecast()
    print(
        f"The model is at {fitted.bundle}. Try it:\n"
        f"  s2s forecast {fitted.bundle} embedded:series/museum.csv --steps 12"
    )
