"""The crew that docs/agents.md shows, as it stands, run by a scripted model over real HTTP."""

import json
import re
from pathlib import Path

import pytest

from app.adapters.crewai.runtime import CrewAIRuntime
from app.adapters.langchain.chat_models import LangChainChatModels
from app.adapters.local.catalog import FileCatalog, compile_schema
from app.adapters.rules.tools import TextFacts
from app.domain.model.ids import AgentName
from tests.contracts.agent_runtime import task
from tests.model_server import CallTools, ModelServer, Text
from tests.recording_context import RecordingContext

pytest_plugins = ["tests.model_server.fixtures"]

PAGE = Path(__file__).parents[2] / "docs" / "agents.md"
CALL = "Wanted: 50 bikes by 1 March 2027, at most 400 EUR each"
VERDICT = {"bid": True, "reasons": ["The price is known."]}


@pytest.fixture
def shown(tmp_path: Path) -> FileCatalog:
    section = PAGE.read_text().partition("## A crew, no code")[2]
    block = re.search(r"^```yaml\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert block is not None
    (tmp_path / "tender.yaml").write_text(block[1])
    return FileCatalog([tmp_path])


async def test_the_crew_of_the_page_uses_its_tool_and_gives_its_verdict(
    shown: FileCatalog, chat_models: LangChainChatModels, model_server: ModelServer
) -> None:
    spec = shown.load().require(AgentName("tender")).spec
    tool = TextFacts()
    runtime = CrewAIRuntime(chat_models, None, {tool.name: tool}, compile_schema)
    runtime.check(spec)
    model_server.script(
        CallTools.one("text_facts", text=CALL), Text("50 bikes"), Text(json.dumps(VERDICT))
    )
    result = await runtime.run(spec, task(CALL, company="Veloworks"), RecordingContext())
    assert result.output == VERDICT
    asked = "\n".join(text for seen in model_server.seen for text in seen.texts)
    assert "Say whether Veloworks should bid" in asked
    assert '"EUR"' in asked, "what the tool has found"
