//! A file of lines that does not grow for ever: full, it takes the place of the one before it.

use std::fs::File;
use std::io::{Error, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// A file that lines are appended to, and its size.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    bytes_max: u64,
    /// A pipe or a device has no size, and is not ours to move.
    is_regular: bool,
}

impl LogFile {
    /// Opens the file for appending; it and the one before it hold so many bytes at most.
    pub(super) fn open(path: &Path, bytes_max: u64) -> Result<Self, Error> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Self {
            bytes: file.metadata()?.len(),
            // Of the name itself: what a link leads to stays where it is.
            is_regular: path.symlink_metadata()?.is_file(),
            path: path.to_owned(),
            file,
            bytes_max,
        })
    }

    /// Appends a line with its end.
    pub(super) fn append(&mut self, line: &str) -> Result<(), Error> {
        let bytes = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if self.is_regular && self.bytes > 0 && self.bytes.saturating_add(bytes) > self.bytes_max {
            self.turn_over()?;
        }
        self.file.write_all(line.as_bytes())?;
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    fn turn_over(&mut self) -> Result<(), Error> {
        let mut before = self.path.clone().into_os_string();
        before.push(".1");
        match std::fs::rename(&self.path, before) {
            // Somebody has moved it already.
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        *self = Self::open(&self.path, self.bytes_max)?;
        Ok(())
    }
}
