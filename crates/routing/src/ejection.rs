//! placeholder
/// Whether a candidate may be tried. Orders as a ranking does: available, then soft ejections by
/// time of recovery, then hard ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Availability {
    /// It may be tried.
    #[default]
    Available,
    /// Ejected until then; tried before its time only when nothing else is left.
    Soft {
        /// When it recovers.
        until: crate::Nanos,
    },
    /// Not tried before its time.
    Hard {
        /// When it recovers.
        until: crate::Nanos,
    },
}
