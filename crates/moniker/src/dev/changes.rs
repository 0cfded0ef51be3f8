//! Notices that the files of `moniker dev` change, whichever way an editor writes them: in place, or
//! a new file renamed over the old one.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::{sync::mpsc, time::timeout};

/// Quiet for so long, and an edit is taken to be complete.
const QUIET: Duration = Duration::from_millis(20);

/// The changes of some files.
pub(super) struct Changes {
    events: mpsc::UnboundedReceiver<()>,
    /// Watches as long as it lives.
    _watcher: Option<RecommendedWatcher>,
}

/// Watches the files, and all files of the directories; nothing when there is none.
pub(super) fn watch(paths: &[PathBuf]) -> anyhow::Result<Changes> {
    let (sender, events) = mpsc::unbounded_channel();
    if paths.is_empty() {
        return Ok(Changes { events, _watcher: None });
    }
    let files: Vec<PathBuf> = paths.iter().map(|p| absolute(p)).collect();
    let wanted = files.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        let ours = |changed: &PathBuf| wanted.iter().any(|w| changed.starts_with(w));
        // Reading is an event too, and so would be our own.
        if !matches!(event.kind, EventKind::Access(_)) && event.paths.iter().any(ours) {
            // Fails only when nobody reads any more.
            let _ = sender.send(());
        }
    })
    .context("files cannot be watched")?;
    for file in &files {
        // Of a file its directory, since another file may take its place.
        let (watched, mode) = match file.parent() {
            Some(parent) if !file.is_dir() => (parent, RecursiveMode::NonRecursive),
            _ => (file.as_path(), RecursiveMode::Recursive),
        };
        watcher
            .watch(watched, mode)
            .with_context(|| format!("{} cannot be watched", watched.display()))?;
    }
    Ok(Changes { events, _watcher: Some(watcher) })
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

impl Changes {
    /// Waits for the next change, and until it is complete. Never returns when nothing is watched.
    pub(super) async fn next(&mut self) {
        if self.events.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        while let Ok(Some(())) = timeout(QUIET, self.events.recv()).await {}
    }
}
