//! Files of facts about versions: which kind they are, what is wrong with them, and the built-in ones as one file.

use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use lockkeeper_rules::facts::{Digest, FILE_BYTES_MAX, Matrix, bundle, has_schema};

use super::{Failure, input, print};
use crate::compat::MATRIX_BYTES_MAX;
use crate::exit::Exit;
use crate::read::matrix::MatrixFile;

#[derive(Debug, Subcommand)]
pub(super) enum MatrixCommand {
    /// Lists every mistake in the files with its line and column: exit code 0 if there is none, else 3.
    Check(CheckArgs),
    /// Prints the built-in facts as one file, which an older build can load through matrix.files.
    Bundle(BundleArgs),
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The files; - is standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct BundleArgs {
    /// Writes the facts to this file and prints its sha256, for matrix.files. Without it, prints the facts.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What the files given with --matrix ask for.
#[derive(Debug)]
pub(super) enum MatrixInput {
    /// A verdict by these facts, laid over the built-in ones.
    Facts(Box<Matrix>),
    /// The answer of the first gate to this matrix.
    FirstGate(Vec<u8>),
}

pub(super) fn run(command: MatrixCommand) -> Result<Exit, Failure> {
    match command {
        MatrixCommand::Check(args) => check(&args.files),
        MatrixCommand::Bundle(args) => write_bundle(args.output.as_deref()),
    }
}

fn write_bundle(output: Option<&Path>) -> Result<Exit, Failure> {
    let text = bundle();
    let Some(path) = output else { return print(&text) };
    let failed = |error: std::io::Error| {
        input(anyhow::Error::new(error).context(format!("cannot write {}; check --output", path.display())))
    };
    std::fs::write(path, &text).map_err(failed)?;
    print(&format!("{}  {}", Digest::of(&text), path.display()))
}

fn check(files: &[PathBuf]) -> Result<Exit, Failure> {
    let texts = files.iter().map(|path| text(path)).collect::<Result<Vec<_>, _>>()?;
    let matrix = load(&texts)?;
    let good = texts.iter().map(|(name, _text)| format!("{name}: good"));
    let lines: Vec<String> = good.chain(matrix.older.iter().map(|older| format!("older: {older}"))).collect();
    print(&lines.join("\n")).map_err(Failure::unknown)
}

/// Reads the files and finds out what they ask for. Facts lie over those of the configuration file.
pub(super) fn input_of(paths: &[PathBuf], configured: &[MatrixFile]) -> Result<MatrixInput, Failure> {
    let mut texts = configured.iter().map(pinned).collect::<Result<Vec<_>, _>>()?;
    if let [path] = paths {
        match String::from_utf8(bytes(path)?) {
            Ok(text) if has_schema(&text) => texts.push((path.display().to_string(), text)),
            Ok(text) => return Ok(MatrixInput::FirstGate(text.into_bytes())),
            Err(error) => return Ok(MatrixInput::FirstGate(error.into_bytes())),
        }
    } else {
        for path in paths {
            texts.push(text(path)?);
        }
    }
    load(&texts).map(|matrix| MatrixInput::Facts(Box::new(matrix)))
}

fn load(texts: &[(String, String)]) -> Result<Matrix, Failure> {
    let files: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    match Matrix::load(&files) {
        Ok(matrix) => Ok(matrix),
        Err(mistakes) => {
            let mut stderr = std::io::stderr().lock();
            for mistake in &mistakes {
                // Nobody is left to be told if the terminal is gone.
                let _told = writeln!(stderr, "{mistake}");
            }
            Err(input(anyhow::anyhow!(
                "the matrix has {} mistakes; fix what is listed above",
                mistakes.len()
            )))
        }
    }
}

/// A file of the configuration, which is the one that is pinned there.
fn pinned(file: &MatrixFile) -> Result<(String, String), Failure> {
    let (name, text) = text(&file.path)?;
    match file.sha256.and_then(|pinned| pinned.mistake(&name, &text)) {
        None => Ok((name, text)),
        Some(mistake) => Err(input(mistake)),
    }
}

fn text(path: &Path) -> Result<(String, String), Failure> {
    let name = path.display().to_string();
    let no_text = |_error| input(anyhow::anyhow!("{name}: it is not UTF-8; save it as UTF-8"));
    let text = String::from_utf8(bytes(path)?).map_err(no_text)?;
    Ok((name, text))
}

/// What a file has, cut one byte behind the largest that is accepted.
fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| {
        let name = path.display();
        input(
            anyhow::Error::new(error)
                .context(format!("{name}: cannot read it; check the path of the matrix")),
        )
    };
    let mut bytes = Vec::new();
    let limit = FILE_BYTES_MAX.max(MATRIX_BYTES_MAX) as u64 + 1;
    if path.as_os_str() == "-" {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_without_schema_asks_for_the_first_gate_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let facts = file("facts.yaml", b"schema: 2\nas_of: \"2026-09-01\"\n");
        let seed = file("seed.json", br#"{"addons": []}"#);
        let rubbish = file("rubbish", b"\xff{");
        let input_of =
            |paths: &[&PathBuf]| input_of(&paths.iter().copied().cloned().collect::<Vec<_>>(), &[]);
        assert!(matches!(input_of(&[]), Ok(MatrixInput::Facts(_))));
        assert!(matches!(input_of(&[&facts]), Ok(MatrixInput::Facts(_))));
        assert!(matches!(input_of(&[&seed]), Ok(MatrixInput::FirstGate(_))));
        assert!(matches!(input_of(&[&rubbish]), Ok(MatrixInput::FirstGate(_))));
        assert!(input_of(&[&facts, &seed]).is_err(), "both kinds at once");
        assert!(input_of(&[&folder.path().join("gone")]).is_err());
    }

    #[test]
    fn facts_lie_over_those_of_the_configuration_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, policy: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("schema: 2\nas_of: \"2026-09-01\"\npolicy: {policy}\n")).unwrap();
            path
        };
        let configured = [file("configured.yaml", "{deprecated_api_window_days: 7}").into()];
        let over = file("over.yaml", "{deprecated_api_window_days: 9}");
        for (paths, days) in [(vec![], 7), (vec![over], 9)] {
            let Ok(MatrixInput::Facts(matrix)) = input_of(&paths, &configured) else { panic!("no facts") };
            assert_eq!(matrix.policy.value.deprecated_api_window_days, days, "{paths:?}");
        }
        assert!(input_of(&[], &[folder.path().join("gone").into()]).is_err());
    }

    #[test]
    fn the_files_of_the_configuration_must_be_the_pinned_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("facts.yaml");
        let Ok(_) = write_bundle(Some(&path)) else { panic!("not written") };
        let text = std::fs::read_to_string(&path).unwrap();
        let pinned = |sha256| [MatrixFile { path: path.clone(), sha256: Some(sha256) }];
        assert!(matches!(input_of(&[], &pinned(Digest::of(&text))), Ok(MatrixInput::Facts(_))));
        let Err(Failure::Input(error)) = input_of(&[], &pinned(Digest::of("other"))) else {
            panic!("not refused")
        };
        let error = error.to_string();
        for digest in [Digest::of(&text), Digest::of("other")] {
            assert!(error.contains(&digest.to_string()), "{digest} in {error}");
        }
        assert!(write_bundle(Some(folder.path())).is_err(), "a folder");
    }
}
