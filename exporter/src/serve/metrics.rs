//! `/metrics`: OpenMetrics text, encoded once per change and served as ready bytes.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::OnceLock;

use bytes::Bytes;
use lockkeeper_rules::publish::metric::{Kind, Sample, TABLE};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::process;

/// What the text is.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The samples of one state, encoded.
#[derive(Debug)]
pub struct Page {
    text: Bytes,
    gzip: OnceLock<Bytes>,
}

impl Page {
    /// Encodes the samples. Without those of the process: they are of the moment of the scrape.
    #[must_use]
    pub fn new(samples: Vec<Sample>) -> Self {
        Self { text: encode(samples).into(), gzip: OnceLock::new() }
    }

    /// The whole answer to a scrape.
    #[must_use]
    pub fn scrape(&self) -> Bytes {
        [self.text.as_ref(), tail().as_bytes()].concat().into()
    }

    /// The same, compressed. Two members of gzip in a row are one file, so the large one is made only once.
    #[must_use]
    pub fn scrape_gzip(&self) -> Bytes {
        let state = self.gzip.get_or_init(|| gzip(&self.text));
        [state.as_ref(), gzip(tail().as_bytes()).as_ref()].concat().into()
    }
}

fn tail() -> String {
    let mut text = encode(process::samples());
    encode_eof(&mut text).expect("a string takes all that is written");
    text
}

fn gzip(plain: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).and_then(|()| encoder.finish()).expect("memory takes all that is written").into()
}

/// Encodes samples, without the end mark.
fn encode(samples: Vec<Sample>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Samples(samples)));
    let mut text = String::new();
    encode_registry(&mut text, &registry).expect("a string takes all that is written");
    text
}

#[derive(Debug)]
struct Samples(Vec<Sample>);

impl Collector for Samples {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        // Names are unique, and one pass is enough: a large cluster has a hundred thousand samples.
        let mut by_name: HashMap<&str, Vec<&Sample>> = HashMap::new();
        for sample in &self.0 {
            by_name.entry(sample.metric.name).or_default().push(sample);
        }
        for metric in TABLE {
            let Some(of_metric) = by_name.remove(metric.name) else { continue };
            let (name, kind) = match metric.kind {
                Kind::Gauge => (metric.name, MetricType::Gauge),
                // The encoder writes the suffix itself.
                Kind::Counter => (metric.name.trim_end_matches("_total"), MetricType::Counter),
            };
            let mut encoder = encoder.encode_descriptor(name, metric.help, None, kind)?;
            for sample in of_metric {
                let labels: Vec<(&str, &str)> =
                    metric.labels.iter().copied().zip(sample.labels.iter().map(String::as_str)).collect();
                // A family without labels would be written with empty braces.
                if labels.is_empty() {
                    value(&mut encoder, sample)?;
                } else {
                    value(&mut encoder.encode_family(&labels)?, sample)?;
                }
            }
        }
        Ok(())
    }
}

fn value(encoder: &mut MetricEncoder<'_>, sample: &Sample) -> Result<(), std::fmt::Error> {
    match sample.metric.kind {
        Kind::Gauge => encoder.encode_gauge(&sample.value),
        Kind::Counter => encoder.encode_counter::<NoLabelSet, f64, f64>(&sample.value, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    use lockkeeper_rules::publish::metric::{BUILD_INFO, WATCH_EVENTS};

    fn page() -> Page {
        let odd = "a \"quoted\" \\ word\nand a line";
        Page::new(vec![
            Sample::new(&WATCH_EVENTS, ["nodes"], 3.0),
            Sample::new(&BUILD_INFO, [odd], 1.0),
            Sample::new(&WATCH_EVENTS, ["runs"], 0.0),
        ])
    }

    #[test]
    fn the_text_has_one_head_for_each_metric_and_escapes_what_it_quotes() {
        let text = String::from_utf8(page().scrape().to_vec()).unwrap();
        let expected = "# HELP k8s_upgrade_exporter_build_info Build of the exporter; constant 1.\n\
                        # TYPE k8s_upgrade_exporter_build_info gauge\n\
                        k8s_upgrade_exporter_build_info{version=\"a \\\"quoted\\\" \\\\ word\\nand a line\"} 1.0\n\
                        # HELP k8s_upgrade_watch_events Watch events seen.\n\
                        # TYPE k8s_upgrade_watch_events counter\n\
                        k8s_upgrade_watch_events_total{resource=\"nodes\"} 3.0\n\
                        k8s_upgrade_watch_events_total{resource=\"runs\"} 0.0\n";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1, "{text}");
        assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
    }

    #[test]
    fn the_compressed_page_is_one_file_of_the_same_lines() {
        let page = page();
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(page.scrape_gzip().as_ref()).read_to_string(&mut text).unwrap();
        let heads = |text: &str| {
            text.lines().filter(|line| line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(heads(&text), heads(std::str::from_utf8(&page.scrape()).unwrap()));
    }
}
