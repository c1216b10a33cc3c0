//! The words that every other room uses: versions, names, labels, selectors. No decision is made here.

pub mod gate_class;
pub mod labels;
pub mod name;
pub mod pod_ref;
pub mod selector;
pub mod step;
pub mod version;
pub mod yaml;

/// So many of something, such as `1 day` and `2 days`.
#[must_use]
pub fn counted(count: u64, one: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {one}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "day")), ["0 days", "1 day", "2 days"]);
    }
}
