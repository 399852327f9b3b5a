//! What an API server tells Prometheus of the requests that it has answered.

use std::collections::BTreeMap;
use std::ops::Sub;

use test_support::metrics::samples;

/// Requests that an API server has answered, by verb and resource.
///
/// It does not count by client. But while ports are deleted only the operator reads, writes and patches `ZenlayerPorts`,
/// sends Events and reads Secrets: the bench itself deletes and watches, which is left out here, and the controllers
/// touch none of these.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Requests(BTreeMap<(String, String), f64>);

impl Requests {
    const RESOURCES: [&str; 5] =
        ["zenlayerports", "events", "secrets", "customresourcedefinitions", "namespaces"];
    const VERBS: [&str; 4] = ["GET", "PUT", "PATCH", "POST"];

    pub fn of(metrics: &str) -> Self {
        let mut counts = BTreeMap::new();
        for sample in samples(metrics).filter(|sample| sample.name == "apiserver_request_total") {
            let (verb, resource) = (sample.label("verb"), sample.label("resource"));
            if Self::VERBS.contains(&verb) && Self::RESOURCES.contains(&resource) {
                *counts.entry((verb.to_owned(), resource.to_owned())).or_default() += sample.value;
            }
        }
        Self(counts)
    }

    /// How many there were of this verb on this resource.
    pub fn count(&self, verb: &str, resource: &str) -> f64 {
        self.0.get(&(verb.to_owned(), resource.to_owned())).copied().unwrap_or_default()
    }

    /// Writes of ZenlayerPorts: of their status (PUT) and of their finalizers (PATCH).
    pub fn object_writes(&self) -> f64 {
        self.count("PUT", "zenlayerports") + self.count("PATCH", "zenlayerports")
    }

    pub fn events(&self) -> f64 {
        self.count("POST", "events") + self.count("PATCH", "events")
    }

    pub fn reads(&self) -> f64 {
        Self::RESOURCES.iter().map(|resource| self.count("GET", resource)).sum()
    }
}

/// What came between two scrapes.
impl Sub<&Requests> for Requests {
    type Output = Requests;

    fn sub(mut self, earlier: &Requests) -> Requests {
        for (key, value) in &mut self.0 {
            *value -= earlier.0.get(key).copied().unwrap_or_default();
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
apiserver_request_total{code=\"200\",resource=\"zenlayerports\",subresource=\"status\",verb=\"PUT\"} 30
apiserver_request_total{code=\"409\",resource=\"zenlayerports\",subresource=\"status\",verb=\"PUT\"} 1
apiserver_request_total{code=\"200\",resource=\"zenlayerports\",verb=\"DELETE\"} 10
apiserver_request_total{code=\"201\",resource=\"events\",verb=\"POST\"} 20
apiserver_request_total{code=\"200\",resource=\"leases\",verb=\"PUT\"} 5
";

    #[test]
    fn requests_are_those_of_the_operator() {
        let requests = Requests::of(TEXT);
        let counts = format!("{} {} {}", requests.object_writes(), requests.events(), requests.reads());
        assert_eq!(counts, "31 20 0", "{requests:?}");
        assert!((requests.count("DELETE", "zenlayerports")).abs() < f64::EPSILON, "the bench's own");
    }

    #[test]
    fn of_two_scrapes_the_difference_counts() {
        let later = Requests::of("apiserver_request_total{resource=\"events\",verb=\"POST\"} 25\n");
        assert!(((later - &Requests::of(TEXT)).events() - 5.0).abs() < f64::EPSILON);
    }
}
