"""Chat models of all providers, by LangChain's `init_chat_model`."""
