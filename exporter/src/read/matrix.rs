//! The operator's files of facts about versions: read at the start, and again for as long as the program runs.
//!
//! They are read every few seconds and compared: a ConfigMap that is mounted is replaced by turning a symbolic link,
//! which who watches a file does not hear of. What the changed bytes are worth is decided in `rules`.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use lockkeeper_rules::facts::Mistake;
use lockkeeper_rules::facts::reload::{Change, InForce, Reload, Seen};
use lockkeeper_rules::facts::{Digest, FILE_BYTES_MAX};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use tokio::sync::watch;

use crate::client::deadline::within;

/// The pause between two looks. What has changed is in force after the second look that sees it.
const LOOK_PAUSE: Duration = Duration::from_secs(2);
/// How long a look may take: a file may lie on a disk that does not answer.
const LOOK_DEADLINE: Duration = Duration::from_secs(5);
/// How many files there may be.
const FILES_MAX: usize = 16;

/// Where facts about versions come from, beside the built-in ones.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MatrixConfig {
    /// The files, each laid over those before it and all of them over the built-in facts.
    #[serde(default)]
    pub files: Vec<MatrixFile>,
}

/// A file of facts: its path, or `{path: …, sha256: …}` where no other file than this one is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixFile {
    /// Where it is.
    pub path: PathBuf,
    /// The digest that it must have, if it is pinned.
    pub sha256: Option<Digest>,
}

/// Files that cannot be used, with every mistake in them.
#[derive(Debug, thiserror::Error)]
#[error("matrix.files: {} mistakes; mend each of:\n{}", .0.len(), lines(.0))]
pub struct BadFiles(pub Vec<Mistake>);

fn lines(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(|mistake| format!("  {mistake}")).collect::<Vec<_>>().join("\n")
}

impl MatrixConfig {
    /// Looks at the list itself.
    ///
    /// # Errors
    /// There are too many files, or one of them twice.
    pub fn validate(&self) -> Result<(), String> {
        if self.files.len() > FILES_MAX {
            return Err(format!("matrix.files has {} files; write at most {FILES_MAX}", self.files.len()));
        }
        let is_twice = |(index, file): &(usize, &MatrixFile)| {
            self.files[..*index].iter().any(|before| before.path == file.path)
        };
        match self.files.iter().enumerate().find(is_twice) {
            Some((_, file)) => {
                Err(format!("matrix.files names {} twice; write it once", file.path.display()))
            }
            None => Ok(()),
        }
    }

    /// Reads the files for the first time.
    ///
    /// # Errors
    /// Every mistake in every file, and every file that cannot be read.
    pub fn open(&self) -> Result<MatrixFiles, BadFiles> {
        let reload = Reload::begin(look(&self.files), Timestamp::now()).map_err(BadFiles)?;
        let in_force = watch::Sender::new(reload.in_force().clone());
        Ok(MatrixFiles { files: self.files.clone(), pause: LOOK_PAUSE, reload, in_force })
    }
}

impl From<PathBuf> for MatrixFile {
    fn from(path: PathBuf) -> Self {
        Self { path, sha256: None }
    }
}

impl<'de> Deserialize<'de> for MatrixFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Pinned {
            path: PathBuf,
            #[serde(default)]
            sha256: Option<String>,
        }
        struct PathOrPinned;

        impl<'de> Visitor<'de> for PathOrPinned {
            type Value = MatrixFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the path of a file, or {path, sha256}")
            }

            fn visit_str<E: Error>(self, path: &str) -> Result<MatrixFile, E> {
                Ok(PathBuf::from(path).into())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<MatrixFile, A::Error> {
                let Pinned { path, sha256 } = Pinned::deserialize(MapAccessDeserializer::new(map))?;
                let digest = |text: String| {
                    let expected = &"a sha256 of 64 hexadecimal digits";
                    Digest::parse(&text)
                        .ok_or_else(|| A::Error::invalid_value(Unexpected::Str(&text), expected))
                };
                Ok(MatrixFile { path, sha256: sha256.map(digest).transpose()? })
            }
        }

        deserializer.deserialize_any(PathOrPinned)
    }
}

/// The files, with the facts that they are in force.
#[derive(Debug)]
pub struct MatrixFiles {
    files: Vec<MatrixFile>,
    pause: Duration,
    reload: Reload,
    in_force: watch::Sender<InForce>,
}

impl MatrixFiles {
    /// The facts in force, now and later.
    #[must_use]
    pub fn in_force(&self) -> watch::Receiver<InForce> {
        self.in_force.subscribe()
    }

    /// Keeps them up to date, for ever.
    pub async fn keep(self) {
        let Self { files, pause, mut reload, in_force } = self;
        warn_of_older(reload.in_force());
        loop {
            tokio::time::sleep(pause).await;
            let looked_at = files.clone();
            let mut looking = tokio::task::spawn_blocking(move || look(&looked_at));
            match within(LOOK_DEADLINE, &mut looking).await {
                Ok(seen) => {
                    let seen = seen.expect("a look does not panic");
                    // To read thousands of rows takes longer than a task may keep others waiting.
                    let judging = tokio::task::spawn_blocking(move || {
                        let change = reload.look(seen, Timestamp::now());
                        (reload, change)
                    });
                    let change;
                    (reload, change) = judging.await.expect("files are judged without a panic");
                    apply(change, reload.in_force(), &in_force);
                }
                Err(late) => {
                    let names: Vec<String> =
                        files.iter().map(|file| file.path.display().to_string()).collect();
                    let change = reload.no_look(&names, &late.to_string());
                    apply(change, reload.in_force(), &in_force);
                    // Not one more thread for each look at a disk that does not answer.
                    let _late = looking.await;
                }
            }
        }
    }
}

fn apply(change: Change, now: &InForce, in_force: &watch::Sender<InForce>) {
    match change {
        Change::None => return,
        Change::Loaded => {
            tracing::info!(files = ?now.matrix.files, "the facts about versions were loaded anew");
            warn_of_older(now);
        }
        Change::Refused => {
            for mistake in &now.matrix.refused {
                tracing::error!(
                    %mistake,
                    "the facts about versions were refused: the ones before stay, and every verdict is unknown"
                );
            }
        }
    }
    in_force.send_replace(now.clone());
}

fn warn_of_older(now: &InForce) {
    for older in &now.matrix.older {
        tracing::warn!(%older, "facts about versions are older than the ones whose place they have taken");
    }
}

/// What is in the files now.
fn look(files: &[MatrixFile]) -> Vec<Seen> {
    let seen = |MatrixFile { path, sha256 }: &MatrixFile| Seen {
        file: path.display().to_string(),
        sha256: *sha256,
        text: text(path),
    };
    files.iter().map(seen).collect()
}

fn text(path: &Path) -> Result<String, String> {
    let unread = |error: std::io::Error| format!("nothing that can be read ({error})");
    // Asked first: to open a pipe would wait for its other end.
    if !std::fs::metadata(path).map_err(unread)?.is_file() {
        return Err("what is not a file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unread)?;
    // One byte more than is accepted, so that what is too large is seen to be so.
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unread)?;
    String::from_utf8(bytes).map_err(|_error| "what is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tokio::time::timeout;

    use super::*;

    const GOOD: &str = "schema: 2\nas_of: \"2026-09-01\"\n";

    /// A folder as kubelet mounts a ConfigMap: each file is a link into `..data`, which is a link itself.
    struct Mount(tempfile::TempDir);

    impl Mount {
        fn new(text: &str) -> Self {
            let mount = Self(tempfile::tempdir().unwrap());
            mount.replace("1", text);
            symlink("..data/matrix.yaml", mount.0.path().join("matrix.yaml")).unwrap();
            mount
        }

        fn replace(&self, generation: &str, text: &str) {
            let at = |name: &str| self.0.path().join(name);
            let folder = format!("..{generation}");
            std::fs::create_dir(at(&folder)).unwrap();
            std::fs::write(at(&folder).join("matrix.yaml"), text).unwrap();
            symlink(&folder, at("..data_tmp")).unwrap();
            std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
        }

        fn config(&self) -> MatrixConfig {
            MatrixConfig { files: vec![self.0.path().join("matrix.yaml").into()] }
        }
    }

    #[tokio::test]
    async fn a_configmap_that_is_replaced_is_loaded_and_a_bad_one_refused() {
        let mount = Mount::new(GOOD);
        let files = MatrixFiles { pause: Duration::from_millis(5), ..mount.config().open().unwrap() };
        let mut in_force = files.in_force();
        let _keeper = tokio::spawn(files.keep());
        for (generation, text, not_covered, refused) in [
            ("2", format!("{GOOD}policy: {{not_covered: unknown}}\n"), "Unknown", 0),
            ("3", "schema: 3\nas_of: 1\n".to_owned(), "Unknown", 2),
            ("4", GOOD.to_owned(), "Warn", 0),
        ] {
            mount.replace(generation, &text);
            let changed = timeout(Duration::from_secs(10), in_force.changed()).await;
            changed.expect("nothing has changed").unwrap();
            let InForce { matrix, .. } = in_force.borrow_and_update().clone();
            assert_eq!(format!("{:?}", matrix.policy.value.not_covered), not_covered, "{generation}");
            assert_eq!(matrix.refused.len(), refused, "{generation}: {:?}", matrix.refused);
        }
    }

    #[test]
    fn what_cannot_be_used_is_told_with_its_name_and_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let good = file("good.yaml", GOOD.as_bytes());
        assert!(MatrixConfig { files: vec![good.clone().into()] }.open().is_ok());
        assert!(MatrixConfig::default().open().is_ok());
        let large = format!("{GOOD}#{}", " ".repeat(FILE_BYTES_MAX));
        for (files, told) in [
            (vec![folder.path().join("gone")], "gone:1:1: the file: found nothing that can be read (No such"),
            (vec![folder.path().to_owned()], ":1:1: the file: found what is not a file"),
            (vec![PathBuf::from("/dev/zero")], "/dev/zero:1:1: the file: found what is not a file"),
            (vec![good.clone(), file("latin", b"\xe4")], "latin:1:1: the file: found what is not UTF-8"),
            (vec![file("large", large.as_bytes())], "large:1:1: the file: found 2097153 bytes"),
            (vec![good, file("bad", b"schema: 3\nas_of: x\n")], "bad:2:8: as_of: found the text \"x\""),
        ] {
            let files = files.into_iter().map(MatrixFile::from).collect();
            let error = MatrixConfig { files }.open().unwrap_err().to_string();
            assert!(error.contains(told), "{told:?} in {error}");
        }
    }

    #[test]
    fn a_file_is_a_path_or_a_path_with_its_digest() {
        let read =
            |text: &str| lockkeeper_rules::words::yaml::read::<MatrixConfig>(text).map(|config| config.files);
        let digest = Digest::of(GOOD);
        let plain = MatrixFile::from(PathBuf::from("/a"));
        let pinned = MatrixFile { sha256: Some(digest), ..plain.clone() };
        let text = format!("files: [/a, {{path: /a}}, {{path: /a, sha256: {digest}}}]");
        assert_eq!(read(&text).unwrap(), [plain.clone(), plain, pinned]);
        for (file, told) in [
            ("{path: /a, sha256: abc}", "expected a sha256 of 64 hexadecimal digits"),
            ("{path: /a, sha: abc}", "sha"),
            ("{sha256: abc}", "path"),
            ("[/a]", "expected the path of a file, or {path, sha256}"),
        ] {
            let error = read(&format!("files: [{file}]")).unwrap_err().to_string();
            assert!(error.contains(told), "{file}: {error}");
        }
    }

    #[tokio::test]
    async fn a_pinned_file_begins_and_stays_as_long_as_it_is_that_file() {
        let mount = Mount::new(GOOD);
        let [file] = <[MatrixFile; 1]>::try_from(mount.config().files).unwrap();
        let pinned = |text: &str| MatrixConfig {
            files: vec![MatrixFile { sha256: Some(Digest::of(text)), ..file.clone() }],
        };
        let other = format!("{GOOD}policy: {{not_covered: unknown}}\n");
        let error = pinned(&other).open().unwrap_err().to_string();
        for digest in [Digest::of(GOOD), Digest::of(&other)] {
            assert!(error.contains(&digest.to_string()), "{digest} in {error}");
        }
        let files = MatrixFiles { pause: Duration::from_millis(5), ..pinned(GOOD).open().unwrap() };
        let mut in_force = files.in_force();
        let _keeper = tokio::spawn(files.keep());
        for (generation, text, refused) in [("2", other.as_str(), 1), ("3", GOOD, 0)] {
            mount.replace(generation, text);
            let changed = timeout(Duration::from_secs(10), in_force.changed()).await;
            changed.expect("nothing has changed").unwrap();
            let InForce { matrix, .. } = in_force.borrow_and_update().clone();
            assert_eq!(format!("{:?}", matrix.policy.value.not_covered), "Warn", "{generation}");
            assert_eq!(matrix.refused.len(), refused, "{generation}: {:?}", matrix.refused);
        }
    }

    #[test]
    fn a_list_that_cannot_be_meant_is_refused() {
        let file = |path: &str| MatrixFile::from(PathBuf::from(path));
        let files = |count: usize| MatrixConfig { files: (0..count).map(|n| file(&n.to_string())).collect() };
        assert_eq!(files(FILES_MAX).validate(), Ok(()));
        assert!(files(FILES_MAX + 1).validate().unwrap_err().contains("at most 16"));
        let pinned = MatrixFile { sha256: Some(Digest::of(GOOD)), ..file("a") };
        let twice = MatrixConfig { files: vec![file("a"), file("b"), pinned] };
        assert!(twice.validate().unwrap_err().contains("matrix.files names a twice"));
    }
}
