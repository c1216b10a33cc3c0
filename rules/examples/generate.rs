//! Writes `rules/generated/` and the tables of `docs/`: `cargo run -p lockkeeper-rules --example generate`.

use std::path::Path;

use lockkeeper_rules::publish::generated::{PAGES, files, fill};

#[expect(clippy::disallowed_methods, reason = "the library returns texts, and this is who writes them")]
fn main() -> std::io::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here.join("generated");
    std::fs::create_dir_all(&folder)?;
    for file in files() {
        std::fs::write(folder.join(file.name), file.text)?;
    }
    for page in PAGES {
        let path = here.join("../docs").join(page);
        std::fs::write(&path, fill(&std::fs::read_to_string(&path)?))?;
    }
    Ok(())
}
