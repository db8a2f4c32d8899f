"""Spans of time in words, as `docker ps` shows them."""

from wherry.model.clock import NANOSECONDS

MINUTE = 60
HOUR = 60 * MINUTE
DAY_HOURS = 24


def human_duration(duration_ns: int) -> str:
    """`About a minute`, `3 weeks` (go-units HumanDuration)."""
    seconds = max(duration_ns, 0) // NANOSECONDS
    if seconds < 1:
        return "Less than a second"
    if seconds == 1:
        return "1 second"
    if seconds < MINUTE:
        return f"{seconds} seconds"
    minutes = seconds // MINUTE
    if minutes == 1:
        return "About a minute"
    if minutes < MINUTE:
        return f"{minutes} minutes"
    return _from_hours(int(duration_ns / NANOSECONDS / HOUR + 0.5))


def _from_hours(hours: int) -> str:
    days = hours // DAY_HOURS
    if hours == 1:
        return "About an hour"
    if hours < 2 * DAY_HOURS:
        return f"{hours} hours"
    if days < 2 * 7:
        return f"{days} days"
    if days < 2 * 30:
        return f"{days // 7} weeks"
    if days < 2 * 365:
        return f"{days // 30} months"
    return f"{days // 365} years"
