//! What the API server's errors mean, and how they are told.

/// Whether asking again soon is of no use: no permission, or no such kind. By its code alone: of a
/// kind that is not installed the API server says so in plain text.
pub(crate) fn for_good(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 403 | 404))
}

/// The error in the API server's words where it has any.
pub(crate) fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn a_kind_that_is_not_installed_is_told_in_plain_text() {
        let status = Status::failure("404 page not found", "Failed to parse error data");
        let error = kube::Error::Api(status.with_code(404).boxed());
        assert!(for_good(&error));
        assert_eq!(said(&error), "404 page not found");
    }
}
