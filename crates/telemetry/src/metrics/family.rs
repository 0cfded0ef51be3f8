//! From numbers to the families of the Prometheus format, by the table of [`names`](crate::names).

use std::collections::BTreeMap;

use prometheus::proto;

use super::{SnapshotFacts, handles::Buckets};
use crate::names::{self, Kind, Metric};

/// The families of one scrape, by name.
pub(crate) struct Families(BTreeMap<&'static str, proto::MetricFamily>);

impl Families {
    pub(crate) fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// A counter or gauge's value.
    pub(crate) fn add(&mut self, of: &'static Metric, labels: &[&str], value: f64) {
        let mut metric = proto::Metric::from_label(pairs(of, labels));
        if of.kind == Kind::Counter {
            let mut counter = proto::Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = proto::Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        self.push(of, metric);
    }

    /// A counter or gauge's value, as a count.
    #[expect(clippy::cast_precision_loss, reason = "the format has floats only")]
    pub(crate) fn count(&mut self, of: &'static Metric, labels: &[&str], value: u64) {
        self.add(of, labels, value as f64);
    }

    /// A histogram, if it has observed anything.
    pub(super) fn histogram(&mut self, of: &'static Metric, labels: &[&str], buckets: &Buckets) {
        let (bounds, total, sum) = buckets.read();
        self.distribution(of, labels, bounds, total, sum);
    }

    /// A histogram of cumulative buckets, unless it is empty.
    pub(super) fn distribution(
        &mut self,
        of: &'static Metric,
        labels: &[&str],
        bounds: impl Iterator<Item = (f64, u64)>,
        total: u64,
        sum: f64,
    ) {
        if total == 0 {
            return;
        }
        let mut histogram = proto::Histogram::default();
        histogram.set_sample_count(total);
        histogram.set_sample_sum(sum);
        histogram.set_bucket(
            bounds
                .map(|(upper, cumulative)| {
                    let mut bucket = proto::Bucket::default();
                    bucket.set_upper_bound(upper);
                    bucket.set_cumulative_count(cumulative);
                    bucket
                })
                .collect(),
        );
        let mut metric = proto::Metric::from_label(pairs(of, labels));
        metric.set_histogram(histogram);
        self.push(of, metric);
    }

    /// What is told of a snapshot, in a router or a controller.
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    pub(super) fn snapshot(&mut self, facts: &SnapshotFacts) {
        self.add(&names::SNAPSHOT_INFO, &[&facts.revision], 1.0);
        self.add(&names::SNAPSHOT_HELD, &[], facts.held as f64);
        self.add(&names::SNAPSHOT_ALIASES, &[], facts.aliases as f64);
        self.add(&names::SNAPSHOT_TARGETS, &[], facts.targets as f64);
    }

    fn push(&mut self, of: &'static Metric, metric: proto::Metric) {
        let family = self.0.entry(of.name).or_insert_with(|| {
            let mut family = proto::MetricFamily::default();
            family.set_name(of.name.to_owned());
            family.set_help(of.help.to_owned());
            family.set_field_type(match of.kind {
                Kind::Counter => proto::MetricType::COUNTER,
                Kind::Gauge => proto::MetricType::GAUGE,
                Kind::Histogram => proto::MetricType::HISTOGRAM,
            });
            family
        });
        family.mut_metric().push(metric);
    }

    pub(crate) fn finish(self) -> Vec<proto::MetricFamily> {
        self.0.into_values().collect()
    }
}

fn pairs(of: &Metric, values: &[&str]) -> Vec<proto::LabelPair> {
    debug_assert_eq!(of.labels.len(), values.len(), "{}", of.name);
    of.labels
        .iter()
        .zip(values)
        .map(|(name, value)| {
            let mut pair = proto::LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        })
        .collect()
}
