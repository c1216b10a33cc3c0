//! Whether a risk is there: what Prometheus' answer to its expression means.

use crate::wire::prometheus::Sample;

/// Exactly one sample says it: 1 where the risk is, 0 where it is not. No sample is no proof of anything: whatever the
/// expression looks at may not be scraped.
///
/// # Errors
/// The answer says neither.
pub fn is_present(samples: &[Sample]) -> Result<bool, String> {
    match samples {
        [one] if one.value == 1.0 => Ok(true),
        [one] if one.value == 0.0 => Ok(false),
        [one] => Err(format!("its value is {}, and not 0 or 1", one.value)),
        [] => Err("no sample came: the expression must be 0 where the risk is not".to_owned()),
        many => Err(format!("{} samples came, and not one", many.len())),
    }
}

/// What several servers say: all of them must, and one that sees the risk is enough.
///
/// # Errors
/// There is no server, or one that does not say.
pub fn any_present(said: impl IntoIterator<Item = Result<bool, String>>) -> Result<bool, String> {
    let said = said.into_iter().collect::<Result<Vec<bool>, String>>()?;
    if said.is_empty() { Err("no Prometheus is configured".to_owned()) } else { Ok(said.contains(&true)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::prometheus::vector;

    fn samples(values: &[&str]) -> Vec<Sample> {
        let one = |value: &&str| format!(r#"{{"metric":{{}},"value":[1700000000,"{value}"]}}"#);
        let all = values.iter().map(one).collect::<Vec<_>>().join(",");
        let body = format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{all}]}}}}"#);
        vector(body.as_bytes()).unwrap()
    }

    #[test]
    fn one_sample_of_0_or_1_is_an_answer_and_nothing_else_is() {
        for (values, expected) in [(&["1"][..], Some(true)), (&["0"], Some(false)), (&["-0"], Some(false))] {
            assert_eq!(is_present(&samples(values)).ok(), expected, "{values:?}");
        }
        for (values, told) in [
            (&[][..], "no sample"),
            (&["2"], "is 2"),
            (&["NaN"], "NaN"),
            (&["0.5"], "0.5"),
            (&["0", "0"], "2 samples"),
        ] {
            let said = is_present(&samples(values)).unwrap_err();
            assert!(said.contains(told), "{values:?}: {said}");
        }
    }

    #[test]
    fn every_server_must_say_and_one_is_enough_for_the_risk() {
        let lost = || Err("gone".to_owned());
        for (said, expected) in [
            (vec![Ok(false), Ok(true)], Ok(true)),
            (vec![Ok(false), Ok(false)], Ok(false)),
            (vec![Ok(true), lost()], lost()),
            (vec![], Err("no Prometheus is configured".to_owned())),
        ] {
            assert_eq!(any_present(said), expected);
        }
    }
}
