"""The conformance kit: slow, readable references, and checks that any plugin can be put through."""
