"""The procedures there are, by the name that an agent's `runtimes.rules.procedure` uses."""

from collections.abc import Mapping

from app.adapters.rules.business_analyst import business_analyst
from app.adapters.rules.developer import developer
from app.adapters.rules.procedure import Procedure
from app.adapters.rules.solution_architect import solution_architect

PROCEDURES: Mapping[str, Procedure] = {
    "business-analyst": business_analyst,
    "developer": developer,
    "solution-architect": solution_architect,
}
