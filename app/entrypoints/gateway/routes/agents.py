"""The agents there are, what they take and what they give."""

from http import HTTPStatus
from typing import Annotated

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from app.domain.model.agents import Agent, AgentCatalog
from app.domain.model.errors import UnknownAgent
from app.domain.model.ids import AgentName
from app.domain.use_cases.fleet import Fleet
from app.entrypoints.gateway import described
from app.entrypoints.gateway.conditional import conditional
from app.entrypoints.gateway.fleet_resources import live_workers
from app.entrypoints.gateway.negotiation import chosen
from app.entrypoints.gateway.problems import Problem
from app.entrypoints.gateway.resources import AgentList, AgentResource


def add_agent_routes(app: FastAPI, catalog: AgentCatalog, fleet: Fleet) -> None:
    """Serve `/v1/agents` and `/v1/agents/{name}`."""

    def resource(agent: Agent) -> AgentResource:
        return AgentResource.of(agent, live_workers(fleet, agent.name))

    @app.get("/v1/agents", **described.AGENTS)
    async def list_agents(request: Request) -> Response:
        chosen(request)
        body = AgentList(items=[resource(agent) for agent in catalog]).to_json()
        return conditional(request, body, {})

    @app.get("/v1/agents/{name}", **described.AGENT)
    async def read_agent(request: Request, name: Annotated[str, described.AGENT_NAME]) -> Response:
        chosen(request)
        try:
            agent = catalog.require(AgentName(name))
        except UnknownAgent as error:
            raise Problem(HTTPStatus.NOT_FOUND, error.code, error.message) from error
        return conditional(request, resource(agent).to_json(), {})
