//! What a process tells Prometheus.

use std::time::Duration;

use anyhow::Result;
use test_cluster::RunningPod;

/// The metrics of a Pod, as text.
pub async fn metrics(pod: &RunningPod) -> Result<String> {
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
    let answer = http.get(format!("{}/metrics", pod.url()?)).send().await?.error_for_status()?;
    Ok(answer.text().await?)
}

/// A series with its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a> {
    pub name: &'a str,
    labels: &'a str,
    pub value: f64,
}

/// Each sample of such a text. A line that cannot be read is left out.
pub fn samples(text: &str) -> impl Iterator<Item = Sample<'_>> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (series, rest) = line.rsplit_once("} ").or_else(|| line.split_once(' '))?;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        // A time may follow.
        Some(Sample { name, labels, value: rest.split(' ').next()?.parse().ok()? })
    })
}

/// The sum of all samples with this name.
pub fn sum(text: &str, name: &str) -> f64 {
    samples(text).filter(|sample| sample.name == name).map(|sample| sample.value).sum()
}

impl<'a> Sample<'a> {
    /// Name and value of each label. No value here has quotes in it.
    pub fn labels(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let pairs = self.labels.split("\",").filter_map(|pair| pair.split_once("=\""));
        pairs.map(|(name, value)| (name, value.trim_end_matches('"')))
    }

    /// Empty if it has no such label.
    pub fn label(self, name: &str) -> &'a str {
        self.labels().find(|(label, _)| *label == name).map_or("", |(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# TYPE reconciles counter
reconciles_total{result=\"ok\"} 7
reconciles_total{result=\"kubernetes\"} 2 1700000000
reconciles_total_of_another 100
apiserver_request_total{code=\"200\",resource=\"events\",verb=\"POST\"} 20
";

    #[test]
    fn samples_of_one_name_are_added_up() {
        assert!((sum(TEXT, "reconciles_total") - 9.0).abs() < f64::EPSILON);
        assert!(sum(TEXT, "nothing").abs() < f64::EPSILON);
    }

    #[test]
    fn the_labels_of_a_sample_are_told_apart() {
        let sample = samples(TEXT).last().expect("a sample");
        let labels: Vec<_> = sample.labels().collect();
        assert_eq!(labels, [("code", "200"), ("resource", "events"), ("verb", "POST")]);
        assert_eq!((sample.label("verb"), sample.label("nothing")), ("POST", ""));
    }
}
