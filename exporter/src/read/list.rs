//! Whole, consistent lists in pages.

use std::fmt::Debug;
use std::time::Duration;

use kube::Api;
use kube::api::{DynamicObject, ListParams, ObjectList, PartialObjectMeta};
use serde::de::DeserializeOwned;

use crate::client::deadline::seconds;
use crate::client::kubernetes::explain;

/// How many objects a page holds.
const PAGE_OBJECTS: u32 = 500;
/// How many pages are read; a cluster has at most 5,000 nodes.
const PAGES_MAX: usize = 200;

/// A list as it was at one moment.
#[derive(Debug, Clone)]
pub struct Listed<K> {
    /// Every object.
    pub items: Vec<K>,
    /// The resource version of the list: a watch goes on from here.
    pub resource_version: String,
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The API server refused or did not answer.
    #[error("{}", explain(.0))]
    Api(#[from] kube::Error),
    /// It took too long.
    #[error("no answer from the API server within {} s", seconds(*.0))]
    Deadline(Duration),
    /// There is no end of pages.
    #[error("more than {PAGES_MAX} pages of {PAGE_OBJECTS} objects")]
    TooLong,
}

/// Reads a list whole. No `resourceVersion` is sent, so that it is consistent: as new as the moment it was asked.
///
/// # Errors
/// The API server refuses, does not answer in time, or has no end of objects.
pub async fn list_all<K>(
    api: &Api<K>,
    params: &ListParams,
    deadline: Duration,
) -> Result<Listed<K>, ListError>
where
    K: Clone + DeserializeOwned + Debug,
{
    match tokio::time::timeout(deadline, pages(api, params)).await {
        Ok(listed) => listed,
        Err(_elapsed) => Err(ListError::Deadline(deadline)),
    }
}

/// The same with nothing but the metadata of each object, which is what the API server then sends.
///
/// # Errors
/// The API server refuses, does not answer in time, or has no end of objects.
pub async fn list_all_metadata(
    api: &Api<DynamicObject>,
    deadline: Duration,
) -> Result<Listed<PartialObjectMeta<DynamicObject>>, ListError> {
    match tokio::time::timeout(deadline, metadata_pages(api)).await {
        Ok(listed) => listed,
        Err(_elapsed) => Err(ListError::Deadline(deadline)),
    }
}

async fn pages<K>(api: &Api<K>, params: &ListParams) -> Result<Listed<K>, ListError>
where
    K: Clone + DeserializeOwned + Debug,
{
    let mut pages = Pages::of(params);
    for _page in 0..PAGES_MAX {
        if let Some(whole) = pages.add(api.list(&pages.next).await?) {
            return Ok(whole);
        }
    }
    Err(ListError::TooLong)
}

async fn metadata_pages(
    api: &Api<DynamicObject>,
) -> Result<Listed<PartialObjectMeta<DynamicObject>>, ListError> {
    let mut pages = Pages::of(&ListParams::default());
    for _page in 0..PAGES_MAX {
        if let Some(whole) = pages.add(api.list_metadata(&pages.next).await?) {
            return Ok(whole);
        }
    }
    Err(ListError::TooLong)
}

/// The pages so far, and how to ask for the next.
struct Pages<K> {
    next: ListParams,
    items: Vec<K>,
}

impl<K: Clone> Pages<K> {
    fn of(params: &ListParams) -> Self {
        Self { next: ListParams { limit: Some(PAGE_OBJECTS), ..params.clone() }, items: Vec::new() }
    }

    /// Adds a page; the last one makes the list whole.
    fn add(&mut self, page: ObjectList<K>) -> Option<Listed<K>> {
        self.items.extend(page.items);
        // Every page is of the same moment and says so; the last one's word is as good as the first's.
        self.next.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        self.next.continue_token.is_none().then(|| Listed {
            items: std::mem::take(&mut self.items),
            resource_version: page.metadata.resource_version.unwrap_or_default(),
        })
    }
}
