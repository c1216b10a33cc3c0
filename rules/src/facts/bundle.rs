//! All built-in facts as one file: what a program that was built earlier takes over its own.

use super::BUILT_IN;

/// What stands above the facts.
const HEAD: &str = "# yaml-language-server: $schema=matrix.schema.json
#
# Every fact about versions that one release of Lockkeeper has built in, in one file. A program that was built earlier takes it
# by `matrix.files`, and needs no new build. Each document has the date of its own facts.
";

/// The files, one document each.
#[must_use]
pub fn bundle() -> String {
    let documents = BUILT_IN.iter().map(|(name, text)| {
        let facts: String =
            text.lines().skip_while(|line| is_head(line)).map(|line| format!("{line}\n")).collect();
        format!("---\n# {name}\n{facts}")
    });
    std::iter::once(HEAD.to_owned()).chain(documents).collect()
}

/// What an editor reads where a file stands.
fn is_head(line: &str) -> bool {
    line == "#" || line.starts_with("# yaml-language-server:")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{FILE_BYTES_MAX, Matrix, Part};

    #[test]
    fn the_bundle_is_what_is_built_in() {
        let text = bundle();
        assert!(text.len() < FILE_BYTES_MAX / 2, "{} bytes are too many for a ConfigMap", text.len());
        let loaded =
            Matrix::load(&[("facts.yaml", &text)]).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        let built_in = Matrix::built_in();
        assert_eq!((loaded.ages(), &loaded.older), (built_in.ages(), &Vec::new()));
        // Of the same age and the same in each section; only the names of the files differ.
        fn named<T>(part: Part<T>, like: &Part<T>) -> Part<T> {
            assert!(part.file.ends_with("facts.yaml"), "{} is not of the bundle", part.file);
            Part { file: like.file.clone(), ..part }
        }
        let loaded = Matrix {
            releases: named(loaded.releases, &built_in.releases),
            runtimes: named(loaded.runtimes, &built_in.runtimes),
            kernels: named(loaded.kernels, &built_in.kernels),
            cgroup_v1: named(loaded.cgroup_v1, &built_in.cgroup_v1),
            etcd: named(loaded.etcd, &built_in.etcd),
            components: named(loaded.components, &built_in.components),
            removed_apis: named(loaded.removed_apis, &built_in.removed_apis),
            volume_plugins: named(loaded.volume_plugins, &built_in.volume_plugins),
            addons: named(loaded.addons, &built_in.addons),
            files: built_in.files.clone(),
            ..loaded
        };
        assert_eq!(loaded, built_in);
    }

    #[test]
    fn a_mistake_in_a_later_document_is_told_with_its_line_in_the_file() {
        let text = format!("{}---\nschema: 2\nas_of: \"2026-12-01\"\nrelease: []\n", bundle());
        let mistakes = Matrix::load(&[("facts.yaml", &text)]).unwrap_err();
        let [mistake] = mistakes.as_slice() else { panic!("{mistakes:#?}") };
        assert_eq!((mistake.place.line, mistake.field.as_str()), (text.lines().count() as u64, "release"));
    }
}
