//! The folder of one World: its data, its logs, its addresses, and the record of its processes.
//!
//! A run that was killed leaves its folder behind. Every later run sweeps: it ends what is recorded there and
//! removes the folder. A process is known by pid and start time, since pids are used again.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};

/// How many folders of logs of failed tests are kept.
const KEPT_MAX: usize = 20;

/// The folder of one World. Dropping it removes it; its logs are kept if the test is failing.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// The lock on the addresses 127.x.y.0/24, held as long as the World lives.
    _addresses: File,
    network: (u8, u8),
    keep_logs: AtomicBool,
}

impl RunFolder {
    /// Sweeps what dead runs have left, then makes a new folder.
    ///
    /// # Errors
    /// The folder cannot be made, or every address is taken.
    pub fn create() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let root = root();
        fs::create_dir_all(root.join("addresses"))
            .with_context(|| format!("{} cannot be made", root.display()))?;
        sweep(&root);
        let own = std::process::id();
        let started = start_time(own).context("/proc cannot be read")?;
        let path = root.join(format!("run-{own}-{started}-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        fs::create_dir(path.join("logs"))?;
        let (network, addresses) = take_addresses(&root.join("addresses"), own)?;
        Ok(Self { path, _addresses: addresses, network, keep_logs: AtomicBool::new(false) })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A folder below it, made if need be.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(path)
    }

    /// Writes a file below it and tells where.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.path.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        // Renamed into place, so that no reader ever sees half of it.
        let fresh = path.with_extension("new");
        fs::write(&fresh, text).with_context(|| format!("{} cannot be written", fresh.display()))?;
        fs::rename(&fresh, &path)?;
        Ok(path)
    }

    /// Where the log of a program is.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.path.join("logs").join(format!("{name}.log"))
    }

    /// An address of this World's own.
    #[must_use]
    pub fn address(&self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.network.0, self.network.1, host)
    }

    /// Keeps the logs even if no test is failing.
    pub fn keep_logs(&self) {
        self.keep_logs.store(true, Ordering::Relaxed);
    }

    /// Records a process, so that a later run ends it if this one cannot.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn record(&self, pid: Pid, name: &str) -> Result<()> {
        let pid = pid.as_raw_pid().unsigned_abs();
        // It may be over already; then there is nothing to record.
        let Some(started) = start_time(pid) else { return Ok(()) };
        let mut file = OpenOptions::new().create(true).append(true).open(self.path.join("processes"))?;
        // In one write, so that nobody reads half a line.
        file.write_all(format!("{pid} {started} {name}\n").as_bytes())?;
        Ok(())
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if self.keep_logs.load(Ordering::Relaxed) || std::thread::panicking() {
            let kept = root().join("kept");
            let name = self.path.file_name().expect("the folder has a name");
            if fs::create_dir_all(&kept).is_ok()
                && fs::rename(self.path.join("logs"), kept.join(name)).is_ok()
            {
                eprintln!("the logs are kept in {}", kept.join(name).display());
            }
        }
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The ports that are handed out. They lie below those that the kernel gives to whoever asks for any: one of those
/// may be taken, at every address, between the moment when it was found free and the one when it is used.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// How many ports this process has looked at.
static PORTS_LOOKED_AT: AtomicU16 = AtomicU16::new(0);

/// A port that nobody uses at this address now. Addresses belong to one World, and none is handed out twice in a
/// row, so nobody else takes it.
///
/// # Errors
/// No port is free.
pub fn free_port(address: Ipv4Addr) -> Result<u16> {
    let is_free = |port: &u16| std::net::TcpListener::bind((address, *port)).is_ok();
    let next = || PORTS.start + PORTS_LOOKED_AT.fetch_add(1, Ordering::Relaxed) % (PORTS.end - PORTS.start);
    PORTS.map(|_| next()).find(is_free).with_context(|| format!("no free port at {address}"))
}

/// When a process started, in clock ticks since boot; nothing if there is none or it is a zombie.
#[must_use]
pub fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold spaces and brackets, so the fields are counted from its end.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// Where the folders of all runs of this user are.
#[must_use]
pub fn root() -> PathBuf {
    std::env::temp_dir().join(format!("lockkeeper-{}", rustix::process::getuid().as_raw()))
}

/// Ends what runs that are dead have left, and removes their folders.
pub(crate) fn sweep(root: &Path) {
    let names = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    for path in names(root) {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let Some(owner) = name.strip_prefix("run-") else { continue };
        let mut numbers = owner.split('-').map(str::parse::<u64>);
        let (Some(Ok(pid)), Some(Ok(started))) = (numbers.next(), numbers.next()) else { continue };
        if u32::try_from(pid).ok().and_then(start_time) == Some(started) {
            continue;
        }
        end_recorded(&path);
        let _ = fs::remove_dir_all(&path);
    }
    let mut kept = names(&root.join("kept"));
    kept.sort_by_key(|path| fs::metadata(path).and_then(|data| data.modified()).ok());
    for old in &kept[..kept.len().saturating_sub(KEPT_MAX)] {
        let _ = fs::remove_dir_all(old);
    }
}

fn end_recorded(folder: &Path) {
    for line in fs::read_to_string(folder.join("processes")).unwrap_or_default().lines() {
        let mut fields = line.split(' ');
        let (Some(Ok(pid)), Some(Ok(started))) =
            (fields.next().map(str::parse::<u32>), fields.next().map(str::parse::<u64>))
        else {
            continue;
        };
        if start_time(pid) == Some(started)
            && let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw)
        {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

fn take_addresses(folder: &Path, seed: u32) -> Result<((u8, u8), File)> {
    // 127.0.x.y is left to everybody else.
    const NETWORKS: u32 = 250 * 250;
    for n in 0..NETWORKS {
        let n = (seed.wrapping_mul(7919).wrapping_add(n)) % NETWORKS;
        let (x, y) = (u8::try_from(1 + n / 250)?, u8::try_from(1 + n % 250)?);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join(format!("{x}.{y}")))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return Ok(((x, y), file));
        }
    }
    bail!("every address from 127.1.1.0 on is taken: are there hundreds of Worlds?")
}
