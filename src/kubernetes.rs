//! What an error of the Kubernetes API server says.

/// The API server says that there is no such object. A 404 without its `Status` says nothing about the object: it comes from a
/// proxy, or the kind is not served. kube's `is_not_found` takes both for the same.
pub fn says_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(answer) if answer.reason == kube::core::response::reason::NOT_FOUND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_404_without_a_status_says_nothing_about_an_object() {
        let answered = |message: &str, reason: &str| {
            kube::Error::Api(Box::new(kube::core::Status::failure(message, reason).with_code(404)))
        };
        assert!(says_not_found(&answered("secrets \"zenlayer\" not found", "NotFound")));
        // As kube puts it when there is no Status in the body.
        assert!(!says_not_found(&answered("404 page not found", "Failed to parse error data")));
        assert!(!says_not_found(&answered("<html>no such page</html>", "")));
    }
}
