"""Chat models of every provider, through LangChain."""
