//! URLs as people may see them: in logs, metrics' errors, verdicts, statuses and Events, which more people can read
//! than the configuration.

use reqwest::Url;

/// The URL without user, password, query and fragment, any of which may be a secret. A text that is no URL is not
/// shown at all where it could hold one: nobody can tell which part of it that would be.
#[must_use]
pub fn shown_url(text: &str) -> String {
    let Some(mut url) = Url::parse(text).ok().filter(Url::has_host) else {
        let may_hold_a_secret = text.contains(['@', '?', '#']);
        return if may_hold_a_secret {
            "(not shown: it may hold a password)".to_owned()
        } else {
            text.to_owned()
        };
    };
    // Neither fails on a URL that has a host.
    let _no_user = url.set_username("");
    let _no_password = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    // What stands for a minor is to be read as it was written.
    url.as_str().replace("%7B", "{").replace("%7D", "}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        for (text, shown) in [
            (
                "https://reader:hunter2@packages.example/v{minor}/Packages",
                "https://packages.example/v{minor}/Packages",
            ),
            ("https://packages.example/Packages?token=hunter2#hunter2", "https://packages.example/Packages"),
            ("https://hunter2@packages.example:8443/", "https://packages.example:8443/"),
            ("ftp://reader:hunter2@packages.example/", "ftp://packages.example/"),
            ("prometheus:9090", "prometheus:9090"),
            ("packages.example/v1.36", "packages.example/v1.36"),
            ("", ""),
        ] {
            assert_eq!(shown_url(text), shown);
        }
        for text in [
            "reader:hunter2@prometheus:9090",
            "http://reader:hun#ter2@prometheus",
            "prometheus?token=hunter2",
        ] {
            assert!(!shown_url(text).contains("ter2"), "{text}");
        }
    }
}
