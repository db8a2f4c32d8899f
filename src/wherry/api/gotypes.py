"""What dockerd calls the fields' types in its messages, where that differs from the obvious."""

# Go's names of the records (moby api/types; go-connections nat; go-units).
RECORDS = {
    "CreateRequest": "container.CreateRequest",
    "HostConfig": "container.HostConfig",
    "LogConfig": "container.LogConfig",
    "PortBinding": "nat.PortBinding",
    "RestartPolicy": "container.RestartPolicy",
    "Device": "container.DeviceMapping",
    "DeviceRequest": "container.DeviceRequest",
    "Ulimit": "units.Ulimit",
    "WeightDevice": "blkiodev.WeightDevice",
    "ThrottleDevice": "blkiodev.ThrottleDevice",
    "BindOptions": "mount.BindOptions",
    "DriverConfig": "mount.Driver",
    "VolumeOptions": "mount.VolumeOptions",
    "TmpfsOptions": "mount.TmpfsOptions",
    "ImageOptions": "mount.ImageOptions",
    "MountRequest": "mount.Mount",
    "EndpointIpam": "network.EndpointIPAMConfig",
    "EndpointRequest": "network.EndpointSettings",
    "NetworkingConfig": "network.NetworkingConfig",
    "Healthcheck": "v1.HealthcheckConfig",
    "ExecRequest": "container.ExecOptions",
    "ExecStart": "container.ExecStartOptions",
    "VolumeRequest": "volume.CreateOptions",
}

FIELDS = {
    ("CreateRequest", "ExposedPorts"): "nat.PortSet",
    ("CreateRequest", "StopTimeout"): "int",
    ("HostConfig", "NetworkMode"): "container.NetworkMode",
    ("HostConfig", "PortBindings"): "nat.PortMap",
    ("HostConfig", "CgroupnsMode"): "container.CgroupnsMode",
    ("HostConfig", "IpcMode"): "container.IpcMode",
    ("HostConfig", "Cgroup"): "container.CgroupSpec",
    ("HostConfig", "PidMode"): "container.PidMode",
    ("HostConfig", "UTSMode"): "container.UTSMode",
    ("HostConfig", "UsernsMode"): "container.UsernsMode",
    ("HostConfig", "Isolation"): "container.Isolation",
    ("HostConfig", "OomScoreAdj"): "int",
    ("HostConfig", "BlkioWeight"): "uint16",
    ("HostConfig", "IOMaximumIOps"): "uint64",
    ("HostConfig", "IOMaximumBandwidth"): "uint64",
    ("HostConfig", "ConsoleSize"): "[2]uint",
    ("HostConfig", "Ulimits"): "[]*units.Ulimit",
    ("HostConfig", "BlkioWeightDevice"): "[]*blkiodev.WeightDevice",
    ("HostConfig", "BlkioDeviceReadBps"): "[]*blkiodev.ThrottleDevice",
    ("HostConfig", "BlkioDeviceWriteBps"): "[]*blkiodev.ThrottleDevice",
    ("HostConfig", "BlkioDeviceReadIOps"): "[]*blkiodev.ThrottleDevice",
    ("HostConfig", "BlkioDeviceWriteIOps"): "[]*blkiodev.ThrottleDevice",
    ("ExecRequest", "ConsoleSize"): "[2]uint",
    ("ExecStart", "ConsoleSize"): "[2]uint",
    ("RestartPolicy", "Name"): "container.RestartPolicyMode",
    ("RestartPolicy", "MaximumRetryCount"): "int",
    ("DeviceRequest", "Count"): "int",
    ("WeightDevice", "Weight"): "uint16",
    ("ThrottleDevice", "Rate"): "uint64",
    ("MountRequest", "Type"): "mount.Type",
    ("MountRequest", "Consistency"): "mount.Consistency",
    ("BindOptions", "Propagation"): "mount.Propagation",
    ("TmpfsOptions", "Mode"): "fs.FileMode",
    ("EndpointRequest", "GwPriority"): "int",
    ("NetworkingConfig", "EndpointsConfig"): "map[string]*network.EndpointSettings",
    ("Healthcheck", "Interval"): "time.Duration",
    ("Healthcheck", "Timeout"): "time.Duration",
    ("Healthcheck", "StartPeriod"): "time.Duration",
    ("Healthcheck", "StartInterval"): "time.Duration",
    ("Healthcheck", "Retries"): "int",
}

# Fields of answers that clients may send back: their types are looked at, and nothing else of them.
UNUSED: dict[str, dict[str, tuple[type, str]]] = {
    "EndpointRequest": {
        "EndpointID": (str, "string"),
        "Gateway": (str, "string"),
        "IPAddress": (str, "string"),
        "IPPrefixLen": (int, "int"),
        "IPv6Gateway": (str, "string"),
        "GlobalIPv6Address": (str, "string"),
        "GlobalIPv6PrefixLen": (int, "int"),
        "DNSNames": (list[str], "[]string"),
    },
}

# Inclusive bounds of the integer types.
INTEGERS = {
    "int": (-(2**63), 2**63 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "time.Duration": (-(2**63), 2**63 - 1),
    "uint": (0, 2**64 - 1),
    "uint64": (0, 2**64 - 1),
    "uint16": (0, 2**16 - 1),
    "fs.FileMode": (0, 2**32 - 1),
}

# Lists of words that may also be written as one word (moby api/types/strslice).
WORD_LISTS = {
    ("CreateRequest", "Cmd"),
    ("CreateRequest", "Entrypoint"),
    ("CreateRequest", "Shell"),
    ("HostConfig", "CapAdd"),
    ("HostConfig", "CapDrop"),
}
