"""Every span and attribute name we emit, in one place: the conventions still move.

Messaging and HTTP names are those of the semantic conventions 1.44.0; the `gen_ai` names are those
of the GenAI conventions, which have lived in a repository of their own since 1.42.0. Both are
marked "development" upstream, so what a new version renames is changed here and said in
`docs/tracing.md`.
"""

from typing import Final

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"
SCOPE: Final = "crewline"

ERROR_TYPE: Final = "error.type"
OTHER: Final = "_OTHER"
"""The conventions' word for an error type that has no low-cardinality name."""

MESSAGING_SYSTEM: Final = "messaging.system"
MESSAGING_OPERATION_NAME: Final = "messaging.operation.name"
MESSAGING_OPERATION_TYPE: Final = "messaging.operation.type"
MESSAGING_DESTINATION: Final = "messaging.destination.name"
MESSAGING_PARTITION: Final = "messaging.destination.partition.id"
MESSAGING_GROUP: Final = "messaging.consumer.group.name"
MESSAGING_BATCH_COUNT: Final = "messaging.batch.message_count"
KAFKA: Final = "kafka"
KAFKA_OFFSET: Final = "messaging.kafka.offset"
KAFKA_KEY: Final = "messaging.kafka.message.key"
SEND: Final = "send"
PROCESS: Final = "process"
QUEUED: Final = "queued"
"""Our own span, outside the conventions: from the record's timestamp to its processing."""

GEN_AI_OPERATION: Final = "gen_ai.operation.name"
GEN_AI_PROVIDER: Final = "gen_ai.provider.name"
GEN_AI_MODEL: Final = "gen_ai.request.model"
GEN_AI_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
GEN_AI_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
GEN_AI_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
GEN_AI_AGENT: Final = "gen_ai.agent.name"
GEN_AI_TOOL: Final = "gen_ai.tool.name"
GEN_AI_WORKFLOW: Final = "gen_ai.workflow.name"

TASK_ID: Final = "crewline.task.id"
TASK_STATE: Final = "crewline.task.state"
ATTEMPT: Final = "crewline.attempt"
AGENT: Final = "crewline.agent"
RUNTIME: Final = "crewline.runtime"
REASON: Final = "crewline.reason"
MESSAGE_TYPE: Final = "crewline.message.type"
QUEUE_WAIT: Final = "crewline.queue.wait_ms"
INPUT_TOKENS: Final = "crewline.usage.input_tokens"
OUTPUT_TOKENS: Final = "crewline.usage.output_tokens"
COST: Final = "crewline.usage.cost_usd"
RETRY_SCHEDULED: Final = "retry-scheduled"
NOT_BEFORE: Final = "crewline.retry.not_before"

_PROVIDERS: Final = {
    "anthropic_bedrock": "aws.bedrock",
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "azure_openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google_anthropic_vertex": "gcp.vertex_ai",
    "google_genai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "ibm": "ibm.watsonx.ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "xai": "x_ai",
}


def provider_name(provider: str) -> str:
    """A model provider under the conventions' name for it, or its own where they have none."""
    return _PROVIDERS.get(provider, provider)
