//! Links of responses: the URIs to which they lead.

use http::Uri;
use percent_encoding::{AsciiSet, percent_encode};
use url::{Position, Url};

use crate::plan::model::{HttpVersion, TargetUrl};

/// Of ASCII, nothing is percent-encoded.
const NOTHING_ELSE: AsciiSet = AsciiSet::EMPTY;

/// The URI of a request that follows a link of the page `here`. It must stay within the origin of the target. The error
/// begins with the link.
pub(super) fn uri(target: &TargetUrl, http: HttpVersion, here: &Url, link: &[u8]) -> Result<Uri, String> {
    if link.is_empty() {
        return Err("is empty: the response names no link".to_owned());
    }
    // As in browsers, bytes that are not ASCII are sent as they came.
    let link: &str = &percent_encode(link, &NOTHING_ELSE).to_string();
    let there = here.join(link).map_err(|error| format!("`{link}` is not a URL: {error}"))?;
    if there.origin() != here.origin() {
        return Err(format!("`{link}` leaves the origin"));
    }
    let path = &there[Position::BeforePath..Position::AfterQuery];
    let uri = match http {
        HttpVersion::One => path.to_owned(),
        HttpVersion::Two => target.origin() + path,
    };
    uri.parse().map_err(|_| format!("`{link}` is not a valid request URI"))
}

impl TargetUrl {
    /// The full URL of a request to this target.
    pub(super) fn url_of(&self, uri: &Uri) -> Url {
        self.url_at(uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str))
    }

    /// The full URL of the target, as a folder.
    pub(super) fn base(&self) -> Url {
        self.url_at(&format!("{}/", self.base_path))
    }

    fn url_at(&self, path: &str) -> Url {
        let whole = Url::parse(&format!("{}{path}", self.origin()));
        whole.expect("the origin comes from a URL, and the path was sent in a request or belongs to the URL")
    }
}
