"""What the load asks for: tasks of every kind of agent, drawn from a seed."""

import random
from dataclasses import dataclass, field
from typing import Any

AGENTS = {"short": 4, "medium": 4, "careful": 4, "blocking": 1, "flaky": 1}
"""How often each is asked, in proportion."""
_CONVERSATIONS = 4


@dataclass(slots=True)
class Requests:
    chance: random.Random
    prefix: str
    _count: int = 0
    made: list["Request"] = field(default_factory=list)

    def next(self) -> "Request":
        self._count += 1
        agent = self.chance.choices(list(AGENTS), list(AGENTS.values()))[0]
        name = f"{self.prefix}-{self._count}"
        body: dict[str, Any] = {"input": f"{agent} {name}", "labels": {"submission": name}}
        match agent:
            case "medium" | "careful":
                body["parameters"] = {"seconds": round(self.chance.uniform(0.2, 2), 2)}
            case "blocking":
                body["parameters"] = {"seconds": round(self.chance.uniform(0.1, 0.8), 2)}
            case "flaky":
                body["parameters"] = {"failures": self.chance.choice((1, 1, 2, 5, 99))}
        if agent in ("short", "medium") and self.chance.random() < 0.2:
            body["context_id"] = f"{self.prefix}-talk-{self.chance.randrange(_CONVERSATIONS)}"
        request = Request(name, agent, body)
        self.made.append(request)
        return request


@dataclass(frozen=True, slots=True)
class Request:
    name: str
    agent: str
    body: dict[str, Any]
