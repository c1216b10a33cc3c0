# The first process of a machine, inside its namespaces: lays its disk, plugs it in, and becomes systemd.
# Arguments: name, folder of the machine, root, address.
set -eu
name=$1 folder=$2 root=$3 address=$4
merged=$folder/merged
mkdir -p "$folder/upper" "$folder/work" "$merged"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$folder/upper,workdir=$folder/work" "$merged"
# containerd's snapshots are overlays, which cannot lie on one.
for place in var/lib/containerd var/lib/kubelet var/lib/etcd var/log; do
    mkdir -p "$folder/data/$place" "$merged/$place"
    mount --bind "$folder/data/$place" "$merged/$place"
done
mount -t proc proc "$merged/proc"
mount -t sysfs -o ro sysfs "$merged/sys"
for place in run tmp dev sys/fs/cgroup; do mount -t tmpfs tmpfs "$merged/$place"; done
chmod 1777 "$merged/tmp"
mkdir -p "$merged/dev/pts" "$merged/dev/shm" "$merged/run/lock"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$merged/dev/pts"
mount -t tmpfs tmpfs "$merged/dev/shm"
ln -s pts/ptmx "$merged/dev/ptmx"
ln -s /proc/self/fd "$merged/dev/fd"
for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0 kmsg:1:3 console:1:3; do
    IFS=: read -r file major minor <<<"$device"
    mknod -m 666 "$merged/dev/$file" c "$major" "$minor"
done
while read -r _ at type options _; do
    case $type:$at in
        cgroup:/sys/fs/cgroup/*)
            mkdir -p "$merged/$at"
            controllers=$(tr , '\n' <<<"$options" | grep -vxE 'rw|ro|nosuid|nodev|noexec|relatime|xattr|release_agent=.*|clone_children' | paste -sd,)
            case $controllers in name=*) controllers=none,$controllers ;; esac
            mount -t cgroup -o "$controllers" cgroup "$merged/$at"
            ;;
    esac
done </proc/mounts

# What a machine could change of the whole kernel it sees and cannot write; a kubelet finds what it would set there.
mount --bind "$merged/proc/sys" "$merged/proc/sys"
mount -o remount,ro,bind "$merged/proc/sys"
if [ -e "$merged/proc/sysrq-trigger" ]; then mount --bind /dev/null "$merged/proc/sysrq-trigger"; fi
mkdir -p "$merged/run/machine"
# Who enters this machine looks whether it is there: until the pivot he would be at the host's root.
echo "$name" >"$merged/run/machine/name"
for setting in vm/overcommit_memory:1 vm/panic_on_oom:0 kernel/panic:10 kernel/panic_on_oops:1 \
    kernel/keys/root_maxkeys:1000000 kernel/keys/root_maxbytes:25000000; do
    file=$merged/run/machine/$(tr / . <<<"${setting%:*}")
    echo "${setting#*:}" >"$file"
    mount --bind "$file" "$merged/proc/sys/${setting%:*}"
done
# Whatever is below net belongs to the machine's own network.
mkdir -p "$folder/proc"
mount -t proc proc "$folder/proc"
mount --bind "$folder/proc/sys/net" "$merged/proc/sys/net"
umount -l "$folder/proc"

ip link set lo up
ip link add eth0 type veth peer name "m-$name" netns /proc/self/fd/9
nsenter --net=/proc/self/fd/9 ip link set "m-$name" master machines up
ip address add "$address/24" dev eth0
ip link set eth0 up
ip route add default via "${address%.*}.1"
while read -r network via; do ip route add "$network" via "$via"; done <"$folder/routes"
echo 1 >/proc/sys/net/ipv4/ip_forward
exec 9<&-

hostname "$name"
mkdir -p "$merged/old"
cd "$merged"
pivot_root . old
umount -l /old
mount --make-rshared /
exec env -i container=lockkeeper PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd </dev/null
