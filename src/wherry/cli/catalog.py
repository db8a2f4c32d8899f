"""Every verb by the words that name it, where its code is, and the one line that help shows.

Invariant: this table imports no verb; only the one that was typed is loaded.
"""

from __future__ import annotations

# words -> (module below `verbs`, name of the Verb in it, summary)
VERBS: dict[str, tuple[str, str, str]] = {
    "run": ("run", "RUN", "Create a container from an image and run it"),
    "exec": ("exec", "EXEC", "Run a further command in a running container"),
    "ps": ("ps", "PS", "List containers"),
    "pull": ("pull", "PULL", "Download an image from a registry"),
    "push": ("push", "PUSH", "Upload an image to a registry"),
    "images": ("images", "IMAGES", "List images"),
    "login": ("login", "LOGIN", "Log in to a registry"),
    "logout": ("login", "LOGOUT", "Log out of a registry"),
    "version": ("version", "VERSION", "Show the versions of client and daemon"),
    "info": ("info", "INFO", "Show the daemon's state and abilities"),
    "attach": ("attach", "ATTACH", "Connect this terminal to a running container's streams"),
    "commit": ("look_inside", "COMMIT", "Make an image of what a container has become"),
    "cp": ("cp", "CP", "Copy files between a container and this machine"),
    "create": ("run", "CREATE", "Create a container without starting it"),
    "diff": ("look_inside", "DIFF", "Show what a container changed of its image"),
    "doctor": ("doctor", "DOCTOR", "Show what this host can do for containers, and what is missing"),
    "events": ("events", "EVENTS", "Show what happens in the daemon as it happens"),
    "export": ("look_inside", "EXPORT", "Write a container's file system as a tar archive"),
    "history": ("history", "HISTORY", "Show the steps that made an image"),
    "import": ("import_", "IMPORT", "Make an image from the tar archive of a file system"),
    "inspect": ("inspect", "INSPECT", "Show everything about containers, images, networks or volumes"),
    "kill": ("lifecycle", "KILL", "Send a signal to running containers"),
    "load": ("load", "LOAD", "Load images from a tar archive or standard input"),
    "logs": ("logs", "LOGS", "Show what a container wrote"),
    "pause": ("lifecycle", "PAUSE", "Freeze all processes of containers"),
    "port": ("port", "PORT", "List published ports of a container, or look one up"),
    "rename": ("lifecycle", "RENAME", "Rename a container"),
    "restart": ("lifecycle", "RESTART", "Stop containers and start them again"),
    "rm": ("lifecycle", "RM", "Remove containers"),
    "rmi": ("rmi", "RMI", "Remove images"),
    "save": ("save", "SAVE", "Save images to a tar archive or standard output"),
    "session": ("session", "SESSION", "Run a command, and remove what it made in the daemon when it has ended"),
    "start": ("start", "START", "Start stopped containers"),
    "stats": ("stats", "STATS", "Show what running containers use, as it changes"),
    "stop": ("lifecycle", "STOP", "Stop running containers"),
    "tag": ("rmi", "TAG", "Give an image one more name"),
    "top": ("top", "TOP", "List a container's processes"),
    "unpause": ("lifecycle", "UNPAUSE", "Let the processes of frozen containers go on"),
    "update": ("update", "UPDATE", "Change limits and restart policy of containers"),
    "wait": ("lifecycle", "WAIT", "Wait until containers end, then print their exit statuses"),
    "container inspect": ("inspect", "CONTAINER_INSPECT", "Show everything about containers"),
    "container prune": ("prune", "CONTAINER_PRUNE", "Remove all stopped containers"),
    "image inspect": ("inspect", "IMAGE_INSPECT", "Show everything about images"),
    "image prune": ("prune", "IMAGE_PRUNE", "Remove unused images"),
    "network connect": ("network", "CONNECT", "Connect a container to a network"),
    "network create": ("network", "CREATE", "Create a network"),
    "network disconnect": ("network", "DISCONNECT", "Disconnect a container from a network"),
    "network inspect": ("inspect", "NETWORK_INSPECT", "Show everything about networks"),
    "network ls": ("network_ls", "LS", "List networks"),
    "network prune": ("prune", "NETWORK_PRUNE", "Remove unused networks"),
    "network rm": ("network", "RM", "Remove networks"),
    "system df": ("system_df", "DF", "Show what takes how much disk space"),
    "system dial-stdio": ("dial_stdio", "DIAL_STDIO", "Connect standard input and output to the daemon"),
    "system fsck": ("system_fsck", "FSCK", "Find what no record knows and what records miss, and mend it"),
    "system prune": ("prune", "SYSTEM_PRUNE", "Remove all unused data"),
    "volume create": ("volume", "CREATE", "Create a volume"),
    "volume inspect": ("inspect", "VOLUME_INSPECT", "Show everything about volumes"),
    "volume ls": ("volume_ls", "LS", "List volumes"),
    "volume prune": ("prune", "VOLUME_PRUNE", "Remove unused volumes"),
    "volume rm": ("volume", "RM", "Remove volumes"),
}

OF_CONTAINERS = (
    "attach", "commit", "cp", "create", "diff", "exec", "export", "kill", "logs", "pause", "port", "rename",
    "restart", "rm", "run", "start", "stats", "stop", "top", "unpause", "update", "wait",
)  # fmt: skip

# Other words for the same verbs; those in a group are listed by the group's help under their first name.
ALIASES: dict[str, str] = {
    **{f"container {verb}": verb for verb in OF_CONTAINERS},
    "container ls": "ps",
    "container list": "ps",
    "container ps": "ps",
    "container remove": "rm",
    "image history": "history",
    "image import": "import",
    "image list": "images",
    "image load": "load",
    "image ls": "images",
    "image pull": "pull",
    "image push": "push",
    "image remove": "rmi",
    "image rm": "rmi",
    "image save": "save",
    "image tag": "tag",
    "network list": "network ls",
    "network remove": "network rm",
    "system events": "events",
    "system info": "info",
    "volume list": "volume ls",
    "volume remove": "volume rm",
}

# Second names, which a group's help does not list, and verbs for programs rather than people.
UNLISTED = frozenset(
    {
        "container list",
        "container ps",
        "container remove",
        "image list",
        "image remove",
        "network list",
        "network remove",
        "system dial-stdio",
        "volume list",
        "volume remove",
    }
)

GROUPS: dict[str, str] = {
    "container": "Manage containers",
    "image": "Manage images",
    "network": "Manage networks",
    "system": "Manage the daemon",
    "volume": "Manage volumes",
}

COMMON = ("run", "exec", "ps", "pull", "push", "images", "login", "logout", "version", "info")


def find(words: list[str]) -> tuple[str, str, int]:
    """The verb that `words` begin with: its name, the words as typed, and how many they are; ("", group, n) if none."""
    for count in (2, 1):
        typed = " ".join(words[:count])
        name = ALIASES.get(typed, typed)
        if name in VERBS and len(words) >= count:
            return name, typed, count
    return "", words[0] if words and words[0] in GROUPS else "", 1


def names_of(name: str) -> list[str]:
    """All the words that name the verb `name`, those in groups first."""
    return sorted([alias for alias, target in ALIASES.items() if target == name] + [name], key=lambda it: " " not in it)
