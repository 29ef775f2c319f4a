//! Pages of lists, with GitHub's `Link` header.

use serde_json::Value;

use crate::forge::reply::{Call, Reply};

/// The slice of a list a request asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    number: usize,
    size: usize,
}

impl Page {
    /// Page and size of a request; sizes default to 30 and are at most 100.
    pub(crate) fn of(call: &Call) -> Self {
        let ask = |name: &str| call.number(name).and_then(|value| usize::try_from(value).ok());
        Self {
            number: ask("page").unwrap_or(1).max(1),
            size: ask("per_page").filter(|size| *size > 0).unwrap_or(30).min(100),
        }
    }

    /// The items of this page.
    pub(crate) fn slice<T>(self, items: &[T]) -> &[T] {
        let start = (self.number - 1).saturating_mul(self.size).min(items.len());
        let end = start.saturating_add(self.size).min(items.len());
        items.get(start..end).unwrap_or(&[])
    }

    /// The `Link` value for a list of `total` items; none when it fits one page.
    pub(crate) fn link(self, base: &str, call: &Call, total: usize) -> Option<String> {
        let last = total.div_ceil(self.size).max(1);
        let mut links = Vec::new();
        let mut link = |number: usize, relation: &str| {
            links.push(format!("<{}>; rel=\"{relation}\"", self.address(base, call, number)));
        };
        if self.number > 1 {
            link(self.number - 1, "prev");
        }
        if self.number < last {
            link(self.number + 1, "next");
            link(last, "last");
        }
        if self.number > 1 {
            link(1, "first");
        }
        (!links.is_empty()).then(|| links.join(", "))
    }

    fn address(self, base: &str, call: &Call, number: usize) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in url::form_urlencoded::parse(call.query.as_bytes()) {
            if name != "page" {
                query.append_pair(&name, &value);
            }
        }
        query.append_pair("page", &number.to_string());
        format!("{base}{}?{}", call.path, query.finish())
    }
}

/// A list answer: this page of `items`, rendered by `render`.
pub(crate) fn list<T>(base: &str, call: &Call, items: &[T], render: impl Fn(&T) -> Value) -> Reply {
    let page = Page::of(call);
    let body = Value::Array(page.slice(items).iter().map(render).collect());
    linked(Reply::json(200, &body), page, base, call, items.len())
}

/// Adds the `Link` header.
pub(crate) fn linked(reply: Reply, page: Page, base: &str, call: &Call, total: usize) -> Reply {
    match page.link(base, call, total) {
        Some(link) => reply.with("link", link),
        None => reply,
    }
}
