//! The route table: a pure function from a request and a view to an answer.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use jiff::Timestamp;
use lockkeeper_rules::cluster::snapshot::Snapshot;
use lockkeeper_rules::settings::Settings;

use super::verdict::{Detail, Report};
use super::view::View;
use super::words::html;
use super::{metrics, status};
use crate::server::http::{reply, text};

/// What does not change while the program runs.
#[derive(Debug, Clone)]
pub struct Site {
    /// Where the metrics are.
    pub telemetry_path: String,
    /// The thresholds.
    pub settings: Settings,
    /// The alert rules, as YAML.
    pub rules: Bytes,
}

/// Answers a request.
#[must_use]
pub fn route(request: &Parts, view: &View, site: &Site, now: Timestamp) -> Response<Full<Bytes>> {
    if !matches!(request.method, Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are served here\n");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri.path() {
        path if path == site.telemetry_path => scrape(&request.headers, view),
        "/verdict" => judged(request, view, site, now),
        "/rules" => reply(StatusCode::OK, "application/yaml", site.rules.clone()),
        "/livez" => text(StatusCode::OK, "ok\n"),
        "/readyz" => ready(view),
        "/" => landing(&request.headers, view, site, now),
        _ => text(
            StatusCode::NOT_FOUND,
            format!("there are /, {}, /verdict, /rules, /livez and /readyz\n", site.telemetry_path),
        ),
    }
}

/// Answers on the listener of probes. It knows no users, so it tells nothing else: what is missing is told by the other.
#[must_use]
pub fn probe(request: &Parts, view: &View) -> Response<Full<Bytes>> {
    match (&request.method, request.uri.path()) {
        (&Method::GET | &Method::HEAD, "/livez") => text(StatusCode::OK, "ok\n"),
        (&Method::GET | &Method::HEAD, "/readyz") if view.is_complete() => text(StatusCode::OK, "ok\n"),
        (&Method::GET | &Method::HEAD, "/readyz") => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        _ => text(StatusCode::NOT_FOUND, "there are /livez and /readyz\n"),
    }
}

fn scrape(headers: &HeaderMap, view: &View) -> Response<Full<Bytes>> {
    let zipped = accepts_gzip(headers);
    let body = if zipped { view.page.scrape_gzip() } else { view.page.scrape() };
    let mut response = reply(StatusCode::OK, metrics::CONTENT_TYPE, body);
    if zipped {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    response
}

/// Each element of a header that is a list, with its quality.
fn list(headers: &HeaderMap, name: HeaderName) -> Vec<(String, f32)> {
    let values = headers.get_all(name);
    let elements = values.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let element = |element: &str| {
        let mut parts = element.split(';').map(str::trim);
        let word = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
        (word, quality)
    };
    elements.map(element).collect()
}

/// Only what was asked for by name: nothing is compressed for `*`.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    list(headers, header::ACCEPT_ENCODING).iter().any(|(coding, quality)| coding == "gzip" && *quality > 0.0)
}

fn accepts(headers: &HeaderMap, media: &str) -> bool {
    list(headers, header::ACCEPT).iter().any(|(accepted, quality)| accepted == media && *quality > 0.0)
}

/// The four answers are all 200: a verdict that blocks is no failure of the server.
fn judged(request: &Parts, view: &View, site: &Site, now: Timestamp) -> Response<Full<Bytes>> {
    if !view.is_complete() {
        return text(StatusCode::SERVICE_UNAVAILABLE, unread(view));
    }
    let (target, detail) = match parse_query(request.uri.query().unwrap_or_default()) {
        Ok(query) => query,
        Err(why) => return text(StatusCode::BAD_REQUEST, why),
    };
    let case = view.case(&site.settings, now);
    let judgements = view.judge(target.as_deref(), &case);
    let report = Report::new(&judgements, view.uncovered(), &case, detail);
    if accepts(&request.headers, "application/json") {
        reply(StatusCode::OK, "application/json", report.json())
    } else if accepts(&request.headers, "text/html") {
        page("Lockkeeper verdict", &report.html())
    } else {
        text(StatusCode::OK, report.text())
    }
}

/// The longest query that is looked at.
const QUERY_BYTES_MAX: usize = 1_024;

/// The target, if one is named, and how much is wanted.
fn parse_query(query: &str) -> Result<(Option<String>, Detail), &'static str> {
    if query.len() > QUERY_BYTES_MAX {
        return Err("the query is too long\n");
    }
    let url = reqwest::Url::parse(&format!("http://exporter/?{query}"))
        .map_err(|_error| "the query cannot be read\n")?;
    let (mut target, mut detail) = (None, Detail::Short);
    for (key, value) in url.query_pairs() {
        match key.as_ref() {
            "target" if target.is_some() => return Err("target is given twice\n"),
            "target" => target = Some(value.into_owned()),
            "verbose" if value.is_empty() => detail = Detail::Verbose,
            "verbose" => return Err("verbose has no value: ?verbose\n"),
            _ => return Err("the parameters are target and verbose, such as ?target=v1.36.3&verbose\n"),
        }
    }
    Ok((target, detail))
}

/// Ready once everything has been read; afterwards it stays so, or a Service would drop the exporter just when it
/// has something to tell. How old the state is, the metrics say.
fn ready(view: &View) -> Response<Full<Bytes>> {
    if view.is_complete() {
        text(StatusCode::OK, "ok\n")
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, unread(view))
    }
}

fn unread(view: &View) -> String {
    let failing = |source: status::SourceStatus| Some(format!("{}: {}", source.source, source.error?));
    let sources: Vec<String> =
        status::sources(&view.snapshot, &view.inventory).into_iter().filter_map(failing).collect();
    format!("not everything has been read yet\n{}\n", sources.join("\n"))
}

fn landing(headers: &HeaderMap, view: &View, site: &Site, now: Timestamp) -> Response<Full<Bytes>> {
    let case = view.case(&site.settings, now);
    let judgements = view.judge(None, &case);
    let report = Report::new(&judgements, view.uncovered(), &case, Detail::Short);
    if !accepts(headers, "text/html") {
        return text(
            StatusCode::OK,
            format!("Lockkeeper exporter {}\n\n{}\n\n{}", version(), running(&view.snapshot), report.text()),
        );
    }
    let metrics = html(&site.telemetry_path);
    let head = format!(
        "<p><a href=\"{metrics}\">metrics</a> <a href=\"/verdict\">verdict</a> \
         <a href=\"/verdict?verbose\">everything</a> <a href=\"/rules\">rules</a> \
         <a href=\"/livez\">livez</a> <a href=\"/readyz\">readyz</a></p>\n<p>{}</p>\n{}",
        html(&running(&view.snapshot)),
        report.html(),
    );
    page(&format!("Lockkeeper exporter {}", version()), &head)
}

/// A page that keeps itself up to date.
fn page(title: &str, inside: &str) -> Response<Full<Bytes>> {
    let title = html(title);
    let body = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta http-equiv=\"refresh\" content=\"10\">\
         <style>body{{font-family:monospace}}p{{margin:0;white-space:pre-wrap}}td,th{{text-align:left;padding-right:2em}}</style>\
         </head><body>\n<h1>{title}</h1>\n{inside}</body></html>\n",
    );
    reply(StatusCode::OK, "text/html; charset=utf-8", body)
}

fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

fn running(snapshot: &Snapshot) -> String {
    let nodes = snapshot.nodes.value.as_deref().unwrap_or_default();
    let kubelets = nodes.iter().filter_map(|node| node.kubelet_version.as_ref().ok());
    let servers =
        snapshot.api_servers.value.iter().flatten().filter_map(|server| server.version.as_ref().ok());
    let words = |versions: std::collections::BTreeSet<String>| {
        if versions.is_empty() {
            "unknown".to_owned()
        } else {
            versions.into_iter().collect::<Vec<_>>().join(", ")
        }
    };
    format!(
        "API servers: {}; kubelets of {} nodes: {}",
        words(servers.map(ToString::to_string).collect()),
        nodes.len(),
        words(kubelets.map(ToString::to_string).collect()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use std::sync::Arc;

    use lockkeeper_rules::cluster::inventory::{
        ApiRequests, ApiWrites, Inventory, Namespace, ScrapedServer, WebhookCalls,
    };
    use lockkeeper_rules::cluster::snapshot::{ApiServer, CONTROL_PLANE, Source, StaticPod};
    use lockkeeper_rules::facts::Matrix;
    use lockkeeper_rules::publish::metric::Memory;
    use lockkeeper_rules::words::version::Version;

    fn now() -> Timestamp {
        "2026-12-01T03:04:05Z".parse().unwrap()
    }

    fn nothing_requested() -> ApiRequests {
        let window_seconds = 30 * 86_400;
        let server = ScrapedServer {
            instance: "cp-1:6443".to_owned(),
            is_scraped: true,
            proven_seconds: window_seconds,
        };
        ApiRequests { window_seconds, servers: vec![server], requested: Vec::new() }
    }

    fn view(complete: bool) -> View {
        let settings = Settings::default();
        if !complete {
            return super::super::view::empty(&settings, now());
        }
        let labels = serde_json::json!({"node-role.kubernetes.io/control-plane": ""});
        let node = serde_json::json!({"metadata": {"name": "cp-1", "labels": labels}, "status": {"nodeInfo": {
            "kubeletVersion": "v1.36.1", "machineID": "", "bootID": "", "architecture": "amd64", "kernelVersion": "6.1.0",
            "containerRuntimeVersion": "containerd://2.2.0", "kubeProxyVersion": "", "operatingSystem": "linux", "osImage": "Debian GNU/Linux 12 (bookworm)", "systemUUID": ""}}});
        let node = crate::read::convert::node(&serde_json::from_value(node).unwrap(), None);
        let version = Version::new(1, 36, 1);
        let packages = crate::read::packages::of(&["1.36.1", "1.36.3", "1.37.0"]);
        let run = serde_json::json!({"metadata": {"name": "patch", "namespace": "k8s-upgrade"}, "spec": {"target": "v1.36.3"},
            "status": {"schemaVersion": 1, "phase": "Waiting", "summary": {"step": "preflight"},
                "holds": [{"reason": "watchdog_missing", "remedy": "look at the path", "since": "2026-12-01T03:03:05Z"}]}});
        let run = serde_json::from_value::<crate::read::upgrade_run::RawUpgradeRun>(run).unwrap();
        let pod = |component: &str, version: &Version| StaticPod {
            component: component.to_owned(),
            node: "cp-1".into(),
            version: Ok(version.clone()),
            flags: Err(String::new()),
            ready: true,
            ready_since: None,
        };
        let mut pods = vec![pod("etcd", &Version::new(3, 6, 6))];
        pods.extend(CONTROL_PLANE.map(|component| pod(component, &version)));
        let snapshot = Snapshot {
            nodes: Source::read(vec![node], now()),
            api_servers: Source::read(
                vec![ApiServer { name: "a".to_owned(), version: Ok(version), ready: true }],
                now(),
            ),
            static_pods: Source::read(pods, now()),
            controller_leases: Source::read(Vec::new(), now()),
            packages: Source::read(packages, now()),
            runs: Source::read(vec![run.into()], now()),
            runs_elsewhere: Source::read(Vec::new(), now()),
        };
        let system = Namespace { name: "kube-system".to_owned(), labels: std::collections::BTreeMap::new() };
        let inventory = Inventory {
            definitions: Source::read(Vec::new(), now()),
            workloads: Source::read(Vec::new(), now()),
            budgets: Source::read(Vec::new(), now()),
            namespaces: Source::read(vec![system], now()),
            webhooks: Source::read(Vec::new(), now()),
            webhook_backends: Source::read(Vec::new(), now()),
            webhook_calls: Source::read(WebhookCalls { scraped: Vec::new(), called: Vec::new() }, now()),
            persistent_volumes: Source::read(Vec::new(), now()),
            storage_classes: Source::read(Vec::new(), now()),
            csi_drivers: Source::read(Vec::new(), now()),
            kubelet_config: Source::read(None, now()),
            kube_proxy_config: Source::read(None, now()),
            kubeadm_config: Some(Source::read(None, now())),
            api_requests: Source::read(nothing_requested(), now()),
            api_writes: Source::read(ApiWrites { asked: [].into(), objects: 0, writes: Vec::new() }, now()),
            ..Inventory::unread()
        };
        let matrix = Arc::new(Matrix::built_in());
        View::new(snapshot, inventory, matrix, Vec::new(), &mut Memory::default(), &settings, now())
    }

    struct Got {
        status: u16,
        headers: HeaderMap,
        body: Vec<u8>,
    }

    impl Got {
        fn text(&self) -> String {
            String::from_utf8(self.body.clone()).unwrap()
        }
    }

    fn get(complete: bool, method: &str, uri: &str, headers: &[(&str, &str)]) -> Got {
        let site = Site {
            telemetry_path: "/metrics".to_owned(),
            settings: Settings::default(),
            rules: "groups: []\n".into(),
        };
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        got(route(&parts, &view(complete), &site, now()))
    }

    fn got(response: Response<Full<Bytes>>) -> Got {
        let (head, body) = response.into_parts();
        let body = futures::FutureExt::now_or_never(body.collect()).unwrap().unwrap().to_bytes().to_vec();
        Got { status: head.status.as_u16(), headers: head.headers, body }
    }

    #[test]
    fn every_path_has_its_answer() {
        for (complete, method, uri, status, words) in [
            (true, "GET", "/metrics", 200, "k8s_upgrade_in_flight 1.0"),
            (false, "GET", "/metrics", 200, "k8s_upgrade_source_up{source=\"kube_api\"} 0.0"),
            (true, "GET", "/verdict", 200, "v1.36.3: SAFE"),
            (
                true,
                "GET",
                "/verdict",
                200,
                "nothing is in the way: open an UpgradeRun to v1.36.3\n\nv1.37.0: UNKNOWN",
            ),
            (true, "GET", "/verdict?verbose&target=v1.36.3", 200, "\nsources\n"),
            (true, "GET", "/verdict?verbose=1", 400, "verbose has no value"),
            (true, "GET", "/verdict?target=1.36.3", 200, "1.36.3: SAFE"),
            (true, "GET", "/verdict?target=1.35.0", 200, "BLOCKED"),
            (true, "GET", "/verdict?target=v1.36.3%2Bx", 200, "v1.36.3+x"),
            (true, "GET", "/verdict?target=nonsense", 200, "checks could not be made"),
            (true, "GET", "/verdict", 200, "waits for watchdog_missing (60 s)\n    -> look at the path"),
            (true, "GET", "/verdict?goal=1.36.3", 400, "parameters are target and verbose"),
            (true, "GET", "/verdict?target=1.36.3&target=1.37.0", 400, "twice"),
            (false, "GET", "/verdict", 503, "nodes: not read yet"),
            (false, "GET", "/verdict?target=nonsense", 503, "not everything"),
            (true, "GET", "/rules", 200, "groups"),
            (false, "GET", "/livez", 200, "ok"),
            (false, "GET", "/readyz", 503, "runs: not read yet"),
            (true, "GET", "/readyz", 200, "ok"),
            (true, "GET", "/", 200, "API servers: v1.36.1; kubelets of 1 nodes: v1.36.1"),
            (true, "GET", "/metricsx", 404, "/verdict"),
            (true, "POST", "/verdict", 405, "GET"),
            (true, "HEAD", "/livez", 200, "ok"),
        ] {
            let got = get(complete, method, uri, &[("accept", "*/*")]);
            assert_eq!(got.status, status, "{method} {uri}");
            assert!(got.text().contains(words), "{method} {uri}: {}", got.text());
        }
    }

    #[test]
    fn the_listener_of_probes_answers_them_and_nothing_else() {
        for (complete, method, uri, status, words) in [
            (false, "GET", "/livez", 200, "ok\n"),
            (true, "GET", "/readyz", 200, "ok\n"),
            (false, "GET", "/readyz", 503, "not ready\n"),
            (true, "GET", "/metrics", 404, "there are /livez and /readyz\n"),
            (true, "GET", "/verdict", 404, "there are /livez and /readyz\n"),
            (true, "POST", "/livez", 404, "there are /livez and /readyz\n"),
        ] {
            let (parts, ()) = http::Request::builder().method(method).uri(uri).body(()).unwrap().into_parts();
            let got = got(probe(&parts, &view(complete)));
            assert_eq!((got.status, got.text().as_str()), (status, words), "{method} {uri}");
        }
    }

    #[test]
    fn programs_get_json_and_browsers_a_page() {
        let got = get(true, "GET", "/verdict?target=1.36.3", &[("accept", "application/json")]);
        let document: serde_json::Value = serde_json::from_slice(&got.body).unwrap();
        assert_eq!(document["verdicts"][0]["verdict"], "safe");
        assert_eq!(document["verdicts"][0]["checks"][1]["evidence"][0]["source"], "nodes");
        assert_eq!(document["runs"][0]["waits_for"][0]["reason"], "watchdog_missing");
        let browser = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
        let page = get(true, "GET", "/verdict?target=1.36.3", &browser);
        assert_eq!(page.headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
        assert!(page.text().contains("<h2>1.36.3: SAFE, exit code 0, judged 0 s ago at "), "{}", page.text());
        let page = get(true, "GET", "/", &browser);
        assert_eq!(page.headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
        assert!(page.text().contains("<a href=\"/verdict\">"));
    }

    #[test]
    fn gzip_comes_only_when_it_is_asked_for() {
        for (accepted, zipped) in [
            ("gzip", true),
            ("deflate, gzip;q=0.5", true),
            ("gzip;q=0", false),
            ("*", false),
            ("identity", false),
        ] {
            let got = get(true, "GET", "/metrics", &[("accept-encoding", accepted)]);
            assert_eq!(got.headers.contains_key(header::CONTENT_ENCODING), zipped, "{accepted}");
            assert_eq!(got.body.starts_with(&[0x1f, 0x8b]), zipped, "{accepted}");
            assert_eq!(got.headers[header::CONTENT_TYPE], metrics::CONTENT_TYPE);
        }
    }
}
