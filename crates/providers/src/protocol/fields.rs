//! An object whose members are taken one by one. What is left at the end is what nobody knows, and
//! is told by its path.

use super::DecodeError;
use crate::{
    neutral::{Document, Media, Part, Request, Source},
    rules::Field,
    tree::Json,
};

/// An object being read.
pub(crate) struct Fields {
    object: Json,
    path: String,
}

impl Fields {
    /// The whole body of a request, which must be an object.
    pub(crate) fn of_body(body: &[u8]) -> Result<Self, DecodeError> {
        let value = Json::parse(body).map_err(|e| DecodeError::body(&e.to_string()))?;
        if !value.is_object() {
            return Err(DecodeError::body("it is another kind of JSON."));
        }
        Ok(Self::new(value, ""))
    }

    /// The object at a path; what is none has no members.
    pub(crate) fn new(object: Json, path: impl Into<String>) -> Self {
        Self { object, path: path.into() }
    }

    /// The path of a member.
    pub(crate) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// All that is left.
    pub(crate) fn whole(self) -> Json {
        self.object
    }

    /// Takes a member; `null` where there is none.
    pub(crate) fn take(&mut self, name: &str) -> Json {
        self.object.take(name)
    }

    /// Takes a member that is there and not `null`.
    pub(crate) fn some(&mut self, name: &str) -> Option<Json> {
        Some(self.take(name)).filter(|value| !value.is_null())
    }

    /// Takes a string.
    pub(crate) fn string(&mut self, name: &str) -> Result<Option<String>, DecodeError> {
        match self.take(name) {
            Json::Null => Ok(None),
            Json::String(text) => Ok(Some(text)),
            _ => Err(self.wrong(name, "must be a string.")),
        }
    }

    /// Takes a truth value.
    pub(crate) fn bool(&mut self, name: &str) -> Result<Option<bool>, DecodeError> {
        match self.take(name) {
            Json::Null => Ok(None),
            Json::Bool(value) => Ok(Some(value)),
            _ => Err(self.wrong(name, "must be true or false.")),
        }
    }

    /// Takes a count.
    pub(crate) fn count(&mut self, name: &str) -> Result<Option<u64>, DecodeError> {
        let value = self.take(name);
        if value.is_null() {
            return Ok(None);
        }
        value.u64().map(Some).ok_or_else(|| self.wrong(name, "must be a whole number from 0 on."))
    }

    /// Takes a number.
    pub(crate) fn number(&mut self, name: &str) -> Result<Option<f64>, DecodeError> {
        let value = self.take(name);
        if value.is_null() {
            return Ok(None);
        }
        value.f64().map(Some).ok_or_else(|| self.wrong(name, "must be a number."))
    }

    /// Takes an array.
    pub(crate) fn array(&mut self, name: &str) -> Result<Vec<Json>, DecodeError> {
        match self.take(name) {
            Json::Null => Ok(Vec::new()),
            Json::Array(items) => Ok(items),
            _ => Err(self.wrong(name, "must be an array.")),
        }
    }

    /// Takes an object.
    pub(crate) fn object(&mut self, name: &str) -> Result<Option<Self>, DecodeError> {
        match self.take(name) {
            Json::Null => Ok(None),
            value @ Json::Object(_) => Ok(Some(Self::new(value, self.path(name)))),
            _ => Err(self.wrong(name, "must be an object.")),
        }
    }

    /// Takes texts: one, or an array of them.
    pub(crate) fn texts(&mut self, name: &str) -> Result<Vec<String>, DecodeError> {
        match self.take(name) {
            Json::Null => Ok(Vec::new()),
            Json::String(text) => Ok(vec![text]),
            Json::Array(items) => items
                .into_iter()
                .map(|item| match item {
                    Json::String(text) => Ok(text),
                    _ => Err(self.wrong(name, "must hold strings.")),
                })
                .collect(),
            _ => Err(self.wrong(name, "must be a string or an array of strings.")),
        }
    }

    /// A member that is not what it should be.
    pub(crate) fn wrong(&self, name: &str, what: &str) -> DecodeError {
        DecodeError::at(self.path(name), what)
    }

    /// Takes fields that are carried as they are.
    pub(crate) fn carry(&mut self, fields: &[(&str, Field)], request: &mut Request) {
        for (name, field) in fields {
            if let Some(value) = self.some(name) {
                request.others.push((*field, value));
            }
        }
    }

    /// What is left is what no rule knows.
    pub(crate) fn rest(self, request: &mut Request) {
        let path = self.path;
        if let Json::Object(members) = self.object {
            for (name, value) in members.into_iter().filter(|(_, value)| !value.is_null()) {
                let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                request.unknown.push((path, value));
            }
        }
    }
}

/// The bytes of a data URL in base64, and their media type. One that is not in base64 is none.
pub(crate) fn data_url(url: &str) -> Option<(String, String)> {
    let rest = url.strip_prefix("data:")?;
    let (head, data) = rest.split_once(',')?;
    let kind = head.strip_suffix(";base64")?;
    let kind = kind.split(';').next().unwrap_or_default();
    Some((kind.to_ascii_lowercase(), data.to_owned()))
}

/// An image or a sound at a URL, or in a data URL.
pub(crate) fn media(url: &str, detail: Option<String>) -> Media {
    match data_url(url) {
        Some((media_type, data)) => Media { source: Source::Base64(data), media_type, detail },
        None => Media {
            source: Source::Url(url.to_owned()),
            media_type: by_extension(url).unwrap_or_default().to_owned(),
            detail,
        },
    }
}

/// A document in base64, in a data URL, or at a URL.
pub(crate) fn document(data: &str, name: Option<String>) -> Part {
    let (source, media_type) = match data_url(data) {
        Some((media_type, data)) => (Source::Base64(data), media_type),
        None if data.starts_with("https://") || data.starts_with("http://") => {
            (Source::Url(data.to_owned()), by_extension(data).unwrap_or_default().to_owned())
        }
        None => {
            let named = name.as_deref().and_then(by_extension);
            (Source::Base64(data.to_owned()), named.unwrap_or("application/pdf").to_owned())
        }
    };
    Part::Document(Document {
        source: Some(source),
        text: None,
        media_type,
        title: name,
        context: None,
        citations: false,
    })
}

/// The media type that a name's extension says.
pub(crate) fn by_extension(name: &str) -> Option<&'static str> {
    let path = name.split(['?', '#']).next().unwrap_or_default();
    let (_, extension) = path.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "md" => "text/markdown",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "doc" => "application/msword",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xls" => "application/vnd.ms-excel",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "wav" => "audio/wav",
        "mp3" => "audio/mp3",
        "mp4" => "video/mp4",
        _ => return None,
    })
}
