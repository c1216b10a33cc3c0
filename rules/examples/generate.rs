//! Writes `rules/generated/`: `cargo run -p lockkeeper-rules --example generate`.

use std::path::Path;

#[expect(clippy::disallowed_methods, reason = "the library returns texts, and this is who writes them")]
fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("generated");
    std::fs::create_dir_all(&folder)?;
    for file in lockkeeper_rules::generated::files() {
        std::fs::write(folder.join(file.name), file.text)?;
    }
    Ok(())
}
