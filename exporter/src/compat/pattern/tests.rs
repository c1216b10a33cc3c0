//! What patterns find.

use super::*;

#[test]
fn a_pattern_means_what_it_means_to_the_seed() {
    let cases = [
        (r"calico/node:v(\d+\.\d+)", "docker.io/calico/node:v3.26.1 b:v9.9", Some("3.26")),
        (r"node:(v\d+\.\d+\.\d+)", "calico/node:v3.26.1", Some("v3.26.1")),
        (r"node:v(?P<v>\d+\.\d+)@(?P=v)", "node:v3.2@3.2", Some("3.2")),
        (r"(\d+\.\d+)$", "node:3.2\n", Some("3.2")),
        (r"(\d+\.\d+)\Z", "node:3.2\n", None),
        (r"(?m)^b:(\d+\.\d+)$", "a:1.1\nb:3.2\nc", Some("3.2")),
        (r"(?i)NODE:(\d+\.\d+)", "node:3.2", Some("3.2")),
        (r"(?i:NODE):V(\d+\.\d+)", "node:v3.2", None),
        (r"(?s:a.b)(\d)", "a\nb1", Some("1")),
        (r"a.b(\d)", "a\nb1", None),
        (r"(?x) node : v ( \d+ \. \d+ ) # the tag", "node:v3.2", Some("3.2")),
        (r"node:v(\d+\.\d+)(?=-gpu)", "node:v1.1 node:v3.2-gpu", Some("3.2")),
        (r"(?<!x)node:v(\d+\.\d+)", "xnode:v1.1 node:v3.2", Some("3.2")),
        (r"(?<=/)node:v(\d+\.\d+)(?!\.0)", "/node:v3.2.1", Some("3.2")),
        (r"node:v(\d+\.\d+)", "node:v３.\u{0662}", Some("３.\u{0662}")),
        (r"(?a)node:v(\d+\.\d+)", "node:v３.2", None),
        (r"[]a-c\w.[&&~-]+:(\x31\x2e\u0032)", "x]&[~-:1.2", Some("1.2")),
        (r"[^\W\d_]+(\d{,2})", "12ab345", Some("34")),
        (r"(a{x}(?:b{2}){1,}?)", "a{x}bbbb", Some("a{x}bb")),
        (r"(?>a+)b(\d)", "aab1", Some("1")),
        (r"(a++)b", "aab", Some("aa")),
        (r"a\sb(\d)", "a\u{1c}b1", Some("1")),
        (r"\bnode\b.(\d)", "xnode:1 node:2", Some("2")),
    ];
    for (pattern, text, expected) in cases {
        let found = match search(pattern, text) {
            Ok(Found::Version(version)) => version,
            Ok(Found::Nothing) => None,
            other => panic!("{pattern}: {other:?}"),
        };
        assert_eq!(found.as_deref(), expected, "{pattern} in {text:?}");
    }
    assert_eq!(search(r"a(b)?", "a"), Ok(Found::Version(None)));
    assert_eq!(search(r"a(?:b)?", "a"), Ok(Found::NoGroup));
}

#[test]
fn what_is_no_pattern_is_refused_and_does_not_merely_fail_to_match() {
    let invalid = [
        "(",
        ")",
        "a)",
        "(a",
        "[a",
        "[",
        "[z-a]",
        r"[\d-z]",
        "*a",
        "a**",
        "^*",
        "a{2,1}",
        r"\q",
        r"\1(a)",
        r"(a\1)",
        r"\x1",
        r"\u12",
        "(?P<1>a)",
        "(?P<a>b)(?P<a>c)",
        "(?P=a)",
        "(?<a>b)",
        "a(?i)b",
        "(?iu-u:a)",
        "(?i",
        "(?",
        "(?<=a+)b",
        "(?<!a{4294967294}a)b",
        r"(?<=(a)\1)b",
        r"(a(?<=(?(1)a)))",
        "(?(0)a)",
        "(?(2)a)(b)",
        "(?(x)a)",
        "(?(-1)a)",
        "(a)(?(1)a|b|c)",
        "(?(1)a",
        "a{4294967295}",
        "(?t)a*",
        "(?t:a)",
        r"[\ud801-\ud800]",
        r"\U00110000",
        "(?P<²>a)",
        "(?#",
        r"[\A]",
        r"\777",
        "(?L)a",
        "\\",
        r"\z",
        "(?au)a",
    ];
    for pattern in invalid {
        let found = search(pattern, "a");
        assert!(found.is_err(), "{pattern}: {found:?}");
    }
}

/// What `re.search` of CPython 3.11.7 answered, whether or not somebody would have written it so: a pattern, a text,
/// and what the first group holds if it matches.
const ODD: &[(&str, &str, Option<Option<&str>>)] = &[
    ("(a)?(?(1)b|c)", "ab", Some(Some("a"))),
    ("(a)?(?(1)b|c)", "c", Some(None)),
    ("(?P<x>a)?b(?(x)c)", "bc", Some(None)),
    ("(?P<x>a)?b(?(x)c)", "ab", Some(None)),
    ("(?(1)a|b)(c)", "bc", Some(Some("c"))),
    ("((a)(?(1)c|d))", "adc", Some(Some("ad"))),
    ("(x)?(?( +1 )y|z)", "z", Some(None)),
    ("((a)(?:b|(?(1)c|d)))e", "abe ace", Some(Some("ab"))),
    ("((a)(?:|(?(1)c|d)))e", "acd ace ade", Some(Some("ac"))),
    ("(a*)*b", "aab", Some(Some(""))),
    ("(a*)+", "aab", Some(Some(""))),
    ("(a*?)*", "aab", Some(Some(""))),
    ("(|a)*", "aa", Some(Some(""))),
    ("(|a)+", "aa", Some(Some(""))),
    ("(a|)+?b", "aab", Some(Some("a"))),
    ("(a?){3}", "a", Some(Some(""))),
    ("(a?){2,3}?b", "ab", Some(Some(""))),
    ("(?:(a)|b)*", "ab", Some(Some("a"))),
    ("(?:(a)|(b))*", "aba", Some(Some("a"))),
    ("(a){0}b", "ab", Some(None)),
    ("((a)|b)*", "ab", Some(Some("b"))),
    ("(?:(a)|b)*?c", "abc", Some(Some("a"))),
    ("(?:)*(a)", "a", Some(Some("a"))),
    ("(?:^)*(a)", "a", Some(Some("a"))),
    ("(?:(?=(a)))*", "a", Some(Some("a"))),
    ("(?:(?=(a)))+", "a", Some(Some("a"))),
    (r"(?:(a)|b|)*\1", "abb", None),
    (r"(a)*+\1", "aaa", None),
    ("((?:ab?)++)b", "abab", None),
    ("((?:ab?)++)c", "ababc", Some(Some("abab"))),
    ("(?>(a)|ab)c", "abc ac", Some(Some("a"))),
    ("(?:(a)|b)*+c", "abc", Some(Some(""))),
    ("(a?){2,}+", "aaa", Some(Some(""))),
    ("(?:(a)b|a)++", "aba", Some(Some("a"))),
    ("(?=(a+))a", "aa", Some(Some("aa"))),
    ("(?!(a)b)a", "aa", Some(None)),
    ("(?!(a)b).", "ab", Some(None)),
    ("(?:(?!(a)b).)*", "acab", Some(None)),
    ("(?<=(a))b", "ab", Some(Some("a"))),
    (r"(a)(?<=\1)b", "ab", Some(Some("a"))),
    ("(?P<x>a)(?<!(?(x)a|b))", "aa", None),
    ("(?<=(?=(b))a|b)b", "ab", None),
    ("(?<=a{2}|bb)(c)", "bbc", Some(Some("c"))),
    (r"(a|b)\1", "ab bb", Some(Some("b"))),
    (r"(?:(a)|b)\1", "ba", None),
    (r"(?i)(k)\1", "K\u{212a}", Some(Some("K"))),
    (r"(?i)(s)\1", "sſ", None),
    ("(?i)(K)", "\u{212a}", Some(Some("\u{212a}"))),
    ("(?i)(s)", "ſ", Some(Some("ſ"))),
    ("(?i)(i)", "İ", Some(Some("İ"))),
    ("(?i)(i)", "ı", Some(Some("ı"))),
    (r"(?i)(\u0131)", "I", Some(Some("I"))),
    ("(?i)(ß)", "ẞ", Some(Some("ẞ"))),
    ("(?i)(ß)", "SS", None),
    ("(?i)(ς)", "Σ", Some(Some("Σ"))),
    ("(?i)([σ1])", "ς", Some(Some("ς"))),
    ("(?i)(µ)", "Μ", Some(Some("Μ"))),
    ("(?i)([^k])", "\u{212a}", None),
    ("(?i)([j-l])", "\u{212a}", Some(Some("\u{212a}"))),
    ("(?ai)(k)", "\u{212a}", None),
    ("(?ai)(K)", "k", Some(Some("k"))),
    (r"(?i)(\U00010400)", "𐐨", Some(Some("𐐨"))),
    (r"(?i)([\U00010400a])", "𐐨", None),
    (r"(?i)([\U00010400-\U00010401])", "𐐨", Some(Some("𐐨"))),
    ("(?i)(ﬅ)", "ﬆ", Some(Some("ﬆ"))),
    ("(?i:(?-i:(a)))", "A", None),
    ("(?i)([ŉ])", "ʼ", None),
    (r"(?i)([\u02bc-\U00010000])", "ŉ", Some(Some("ŉ"))),
    (r"(\w)", "²", Some(Some("²"))),
    (r"(\w)", "Ⅷ", Some(Some("Ⅷ"))),
    (r"(\w)", "中", Some(Some("中"))),
    (r"(\w)", "\u{301}", None),
    (r"(?a)(\w)", "é", None),
    (r"(\d)", "²", None),
    (r"(\d)", "٣", Some(Some("٣"))),
    (r"(\s)", "\u{3000}", Some(Some("\u{3000}"))),
    (r"(\s)", "\u{200b}", None),
    (r"\b(é)", "-é", Some(Some("é"))),
    (r"(?a)\b(é)", "-é", None),
    (r"(\B)", "", None),
    (r"(\b)", "", None),
    (r"(\B)", "-", Some(Some(""))),
    (r"(\w)", "\u{1c89}", None),
    ("(?x)(a #\\\nb\n)", "ab", Some(Some("a"))),
    (r"(?#a\)b)(c)", "c", Some(Some("c"))),
    ("(a{,2})", "aaa", Some(Some("aa"))),
    ("(a{,})", "aaa", Some(Some("aaa"))),
    ("(a{})", "a{}", Some(Some("a{}"))),
    (r"(\ud800|a)", "a", Some(Some("a"))),
    ("(?t)(a)", "a", Some(Some("a"))),
    (r"(\0)", "\u{0}", Some(Some("\u{0}"))),
    (r"(?u:(?a:(\w))|.)", "é", Some(None)),
    (r"(?a:(?u:(\w)))", "é", Some(Some("é"))),
    ("(a)(?:b|(?i:b))", "aB", Some(Some("a"))),
    ("((?:a{2}){2})", "aaaa", Some(Some("aaaa"))),
    ("(a{3}?)", "aaaa", Some(Some("aaa"))),
    (r"(.*?)\Z", "a\n", Some(Some(""))),
];

/// How many of them are refused.
const ODD_REFUSED: usize = 70;

#[test]
fn odd_patterns_mean_what_they_mean_to_the_seed_or_are_refused() {
    let mut refused = Vec::new();
    for (pattern, text, expected) in ODD {
        let found = match search(pattern, text) {
            Ok(Found::Version(version)) => Some(version),
            Ok(Found::Nothing) => None,
            Err(PatternError::NotSupported(_)) => {
                refused.push(pattern);
                continue;
            }
            other => panic!("{pattern}: {other:?}"),
        };
        assert_eq!(found.as_ref().map(Option::as_deref), *expected, "{pattern} in {text:?}");
    }
    assert_eq!(refused.len(), ODD_REFUSED, "{refused:#?}");
}

#[test]
fn what_is_not_asked_is_refused_and_never_no_match() {
    let long = "x".repeat(PATTERN_LENGTH_MAX + 1);
    let deep = "(".repeat(300) + &")".repeat(300);
    let cases = [
        (r"\N{BULLET}", "a"),
        (r"((?:a|aa)+)(?!.)(?=b)", &"a".repeat(60)),
        ("((?:x{999}){999})", "a"),
        ("(a)(?(\u{661})b)", "ab"),
        (&long, "a"),
        (&deep, "a"),
        // What engines tell differently.
        ("(a)?(?(1)b|c)", "ab"),
        ("(a*)*b", "aab"),
        ("(a)*b", "aab"),
        ("(?!(a)b)c", "c"),
        (r"(x)(?:(a)|b)*\2", "xab"),
        ("(?i)(K)", "\u{212a}"),
        (r"(?i)(\u0131)", "I"),
        (r"(?i)(k)\1", "kK"),
        (r"(\w)", "\u{b2}"),
        (r"\b(a)", "éa"),
        (r"(?a:\W)(a)", "éa"),
    ];
    for (pattern, text) in cases {
        let found = search(pattern, text);
        assert!(matches!(found, Err(PatternError::NotSupported(_))), "{pattern}: {found:?}");
    }
}
