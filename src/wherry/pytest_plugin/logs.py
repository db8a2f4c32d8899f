"""A container's part of a report."""

import wherry


def section(container: wherry.Container, *, lines: int, since: float | None) -> tuple[str, str]:
    """A heading and the last lines of its log, from a time on. Whatever goes wrong is said in their place."""
    try:
        info = container.inspect()
        state = info.state.status + (f", exit code {info.state.exit_code}" if info.state.status == "exited" else "")
        text = container.logs(tail=lines, since=since).output.decode("utf-8", "replace")
    except wherry.ClientError as error:
        return f"container {container.id[:12]}", str(error)
    return f"container {info.name} ({info.config.image}): {state}", text
