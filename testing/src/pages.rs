//! Reading a list page by page.

use crate::Reply;

/// Returns the query of the next page, if the reply links to one. `route` is the path of the list.
pub fn next_query(reply: &Reply, route: &str) -> Option<String> {
    let link = reply.headers.get("link")?.to_str().expect("header is text");
    let target = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).expect(link);
    Some(target.strip_prefix(route).expect(target).to_owned())
}

/// Follows the links from the first page to the last and returns all items. Expects `limit` items on each but the last.
///
/// `page` returns the items of the page with this query, and the query of the next page.
pub async fn visit_all<T>(limit: usize, page: impl AsyncFn(&str) -> (Vec<T>, Option<String>)) -> Vec<T> {
    let (mut visited, mut query) = (Vec::new(), Some(format!("?limit={limit}")));
    while let Some(current) = query.take() {
        let items;
        (items, query) = page(&current).await;
        assert!(items.len() == limit || query.is_none(), "{} of {limit} items on {current}", items.len());
        visited.extend(items);
    }
    visited
}
