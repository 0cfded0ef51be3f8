//! Who may use an object: `spec.export`, as far as the operator lets its namespace export at all.

use api::{
    Reason,
    common::{Export, ExportFrom},
};
use routing::{ObjectId, snapshot::Exported};

use super::problems::Problems;
use crate::world::World;

/// Checks what one object can decide.
pub(super) fn check(export: Option<&Export>, problems: &mut Problems) {
    let Some(export) = export else { return };
    match (export.from, &export.selector) {
        (ExportFrom::Selector, None) => {
            problems.add("spec.export.selector", "is missing, and `from: Selector` needs it");
        }
        (ExportFrom::Same | ExportFrom::All, Some(_)) => {
            problems.add("spec.export.selector", "goes with `from: Selector` alone; remove it");
        }
        (ExportFrom::Selector, Some(selector)) => problems.check(
            !selector.match_labels.is_empty(),
            "spec.export.selector.matchLabels",
            "is empty, and so matches no namespace",
        ),
        (ExportFrom::Same | ExportFrom::All, None) => {}
    }
}

/// Whom the object is exported to, and why that is less than was asked for.
pub(crate) fn resolve(
    world: &World,
    id: &ObjectId,
    export: Option<&Export>,
) -> (Exported, Option<(Reason, String)>) {
    let Some(export) = export else { return (Exported::Same, None) };
    if export.from == ExportFrom::Same {
        return (Exported::Same, None);
    }
    if !world.settings.exporting_namespaces.contains(&id.namespace) {
        let message = format!(
            "spec.export.from is {:?}, and namespace {} may not export: the controller's \
             --exporting-namespaces must name it; until then only its own namespace is served",
            export.from, id.namespace
        );
        return (Exported::Same, Some((Reason::ExportNotPermitted, message)));
    }
    match (export.from, &export.selector) {
        (ExportFrom::All, _) => (Exported::All, None),
        (ExportFrom::Selector, Some(selector)) => match &world.namespaces {
            Some(namespaces) => {
                let matching = namespaces.iter().filter(|(_, labels)| selector.matches(labels));
                (Exported::Namespaces(matching.map(|(name, _)| name.clone()).collect()), None)
            }
            None => {
                let message = "spec.export.from is Selector, and the labels of namespaces are not \
                               known here: the controller watches single namespaces, or there is \
                               no cluster; use All, or let it watch all namespaces";
                (Exported::Same, Some((Reason::SelectorUnavailable, message.to_owned())))
            }
        },
        // A selector that is missing is told as InvalidSpec.
        (ExportFrom::Same | ExportFrom::Selector, _) => (Exported::Same, None),
    }
}
