//! What each router is told of what all reported.

use routing::stats::Sums;

use crate::policy::Report;

/// For each router: the decayed sums of all others, or the totals of all.
pub(crate) fn merge(reports: &[Report]) -> Vec<Report> {
    let sums: Vec<&Vec<Sums>> = reports
        .iter()
        .filter_map(|report| if let Report::Sums(sums) = report { Some(sums) } else { None })
        .collect();
    if sums.len() == reports.len() {
        return others(&sums).into_iter().map(Report::Sums).collect();
    }
    let mut totals: Vec<(f64, f64)> = Vec::new();
    for report in reports {
        let Report::Times(times) = report else { continue };
        totals.resize(times.len(), (0.0, 0.0));
        for (total, (time, count)) in totals.iter_mut().zip(times) {
            total.0 += time;
            total.1 += count;
        }
    }
    vec![Report::Times(totals); reports.len()]
}

/// Before and behind each, added up: as the controller does it, no difference of large sums.
fn others(sums: &[&Vec<Sums>]) -> Vec<Vec<Sums>> {
    let targets = sums.first().map_or(0, |own| own.len());
    let mut views = Vec::with_capacity(sums.len());
    let mut before = vec![Sums::default(); targets];
    for own in sums {
        views.push(before.clone());
        add(&mut before, own);
    }
    let mut behind = vec![Sums::default(); targets];
    for (view, own) in views.iter_mut().zip(sums).rev() {
        add(view, &behind);
        add(&mut behind, own);
    }
    views
}

fn add(to: &mut [Sums], more: &[Sums]) {
    for (sum, more) in to.iter_mut().zip(more) {
        sum.add(more);
    }
}
