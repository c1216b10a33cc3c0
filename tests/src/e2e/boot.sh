# Boots a machine: puts itself into cgroups of the machine's own, then into namespaces of its own, and goes on there.
# Arguments: name, folder of the machine, root, address, init.sh.
set -eu
name=$1 folder=$2
# So that the next run can tell what a dead one has left: see sweep in cgroup.rs.
group=$(cat "$folder/cgroup")
for at in /sys/fs/cgroup/*; do
    # The unified one too, without controllers as it is: systemd would make its slices at the host's root.
    grep -qsE " $at cgroup2? " /proc/mounts || continue
    mkdir -p "$at/$group"
    if [ -e "$at/cpuset.cpus" ]; then
        cat "$at/cpuset.cpus" >"$at/$group/cpuset.cpus"
        cat "$at/cpuset.mems" >"$at/$group/cpuset.mems"
        echo 1 >"$at/$group/cgroup.clone_children"
    fi
    echo $$ >"$at/$group/cgroup.procs"
done
# The network that the machine's cable leads to: ours.
exec 9</proc/self/ns/net
exec unshare --net --cgroup --mount --uts --ipc --pid --fork --kill-child -- bash "$5" "$@"
