"""The one error that the sandbox raises for what a person can do something about."""

from __future__ import annotations


class SandboxError(Exception):
    """What went wrong, and what to do next.

    `problem` is what was seen; `next_step` is what to type or change.
    """

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(problem, next_step)
        self.problem = problem
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.problem}\n  next: {self.next_step}"
