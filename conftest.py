"""Loads the procedure's plugins; they sleep unless a suite is named."""

pytest_plugins = (
    "fixtures.options",
    "fixtures.stages",
    "fixtures.gates",
    "fixtures.audit",
    "fixtures.console",
    "fixtures.page",
    "fixtures.line",
    "fixtures.cluster",
    "fixtures.release",
    "fixtures.target",
    "fixtures.plan",
    "fixtures.values",
    "fixtures.backup",
    "fixtures.restore",
    "fixtures.rehearsal",
    "fixtures.human",
    "fixtures.upgrade",
)
