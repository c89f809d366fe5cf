"""The procedures there are, by the name that an agent's `runtimes.rules.procedure` uses."""

from collections.abc import Mapping

from app.adapters.rules.business_analyst import business_analyst
from app.adapters.rules.procedure import Procedure

PROCEDURES: Mapping[str, Procedure] = {
    "business-analyst": business_analyst,
}
