//! Multipart forms: files stream into temporary files, texts are short. Names are cleaned and only echoed, never used as
//! a path; types are told by the content, whatever the client claims.

use std::error::Error as _;
use std::io::BufReader;
use std::path::Path;

use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::header;
use image::{ImageError, ImageReader};
use tempfile::TempPath;
use tokio::io::AsyncWriteExt;

use super::body::{Allowance, BodyError};
use super::error::ApiError;
use super::state::{App, Limits};

/// Bytes of a text at most.
const MAX_TEXT: usize = 64 << 10;
/// Bytes that may come before a part's header ends: one read of the connection and then some.
const MAX_PART_HEADER: u64 = 1 << 20;
/// Characters of a file name that are echoed at most.
const MAX_NAME: usize = 120;

/// What a form may hold.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    /// Name of the parts that are files.
    pub file: &'static str,
    /// Files at most; at least one must come.
    pub max_files: usize,
    /// Names of the parts that are texts.
    pub texts: &'static [&'static str],
    /// Texts at most.
    pub max_texts: usize,
}

/// A form that was read.
#[derive(Debug)]
pub struct Form {
    /// In the order they came; at least one.
    pub files: Vec<Upload>,
    texts: Vec<(&'static str, String)>,
}

/// A file of a form, known to begin like a photo of bearable size.
#[derive(Debug)]
pub struct Upload {
    /// What the client calls it, cleaned, for people to read.
    pub name: String,
    /// Where it is kept; removed when this is dropped.
    pub path: TempPath,
}

impl Form {
    /// All texts of this name, in order.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.texts.iter().filter(move |(part, _)| *part == name).map(|(_, text)| text.as_str())
    }

    /// The only text of this name.
    pub fn text(&self, name: &str) -> Result<Option<&str>, ApiError> {
        let mut all = self.texts(name);
        let first = all.next();
        if all.next().is_some() {
            return Err(ApiError::unusable(format!("The part `{name}` came twice; once is right.")));
        }
        Ok(first)
    }

    /// The only file.
    pub fn only_file(&mut self) -> Result<Upload, ApiError> {
        self.files.pop().ok_or_else(|| ApiError::bug("a form without a file got through."))
    }

    /// Reads a form. Everything read is dropped with the error where one comes up.
    pub async fn read(request: Request, app: &App, parts: Parts) -> Result<Self, ApiError> {
        let allowance = request.extensions().get::<Allowance>().cloned().unwrap_or_default();
        let is_form = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("multipart/form-data"));
        if !is_form {
            return Err(ApiError::type_unknown(format!(
                "The body must be a form (multipart/form-data) with a part `{}`, e.g. `curl -F {}=@photo.png`.",
                parts.file, parts.file
            )));
        }
        let mut multipart = Multipart::from_request(request, &())
            .await
            .map_err(|_| ApiError::malformed("The form has no boundary in its Content-Type."))?;
        let mut form = Self { files: Vec::new(), texts: Vec::new() };
        loop {
            allowance.grant(MAX_PART_HEADER);
            let Some(mut field) = multipart.next_field().await.map_err(|e| form_error(&e, &app.limits))? else { break };
            allowance.grant(u64::MAX);
            let name = field.name().unwrap_or_default().to_owned();
            if name == parts.file {
                if form.files.len() == parts.max_files {
                    return Err(ApiError::unusable(format!("At most {} files are taken at once.", parts.max_files)));
                }
                form.files.push(store(&mut field, app).await?);
            } else if let Some(known) = parts.texts.iter().find(|known| **known == name) {
                if form.texts.len() == parts.max_texts {
                    return Err(ApiError::unusable(format!("At most {} texts are taken at once.", parts.max_texts)));
                }
                form.texts.push((known, read_text(&mut field, known, &app.limits).await?));
            } else {
                let known = std::iter::once(&parts.file).chain(parts.texts).map(|name| format!("`{name}`"));
                return Err(ApiError::unusable(format!(
                    "The form has a part {name:?}, but only {} are known here.",
                    known.collect::<Vec<_>>().join(", ")
                )));
            }
        }
        if form.files.is_empty() {
            return Err(ApiError::unusable(format!("The form has no part `{}` with a photo.", parts.file)));
        }
        Ok(form)
    }
}

/// Streams a file to disk and looks at its beginning.
async fn store(field: &mut Field<'_>, app: &App) -> Result<Upload, ApiError> {
    let name = clean_name(field.file_name().unwrap_or_default());
    let failed = |e: std::io::Error| {
        log::error!("an upload cannot be kept: {e}");
        ApiError::unavailable("The upload cannot be kept: the server's disk refuses. Try again later.")
    };
    let (file, path) = app.uploads.new_file().map_err(failed)?.into_parts();
    let mut file = tokio::fs::File::from_std(file);
    while let Some(chunk) = field.chunk().await.map_err(|e| form_error(&e, &app.limits))? {
        app.metrics.received.inc_by(chunk.len() as u64);
        file.write_all(&chunk).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    drop(file);
    let max_pixels = app.limits.pixels;
    let checked = tokio::task::spawn_blocking(move || check_photo(&path, max_pixels).map(|()| path)).await;
    let path = checked.map_err(|_| ApiError::bug("looking at an upload failed."))?.map_err(|e| e.named(&name))?;
    Ok(Upload { name, path })
}

async fn read_text(field: &mut Field<'_>, name: &str, limits: &Limits) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|e| form_error(&e, limits))? {
        if bytes.len() + chunk.len() > MAX_TEXT {
            return Err(ApiError::too_large(format!("The part `{name}` is longer than {} KiB.", MAX_TEXT >> 10)));
        }
        bytes.extend_from_slice(&chunk);
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| ApiError::unusable(format!("The part `{name}` is no text in UTF-8. Encode it so.")))?;
    // Some databases and tokenizers end at a NUL, others do not: refused before they can differ.
    if text.contains('\0') {
        return Err(ApiError::unusable(format!("The part `{name}` has a NUL character. Leave it out.")));
    }
    Ok(text)
}

/// What is wrong with an upload, before its name is added.
enum Unfit {
    NoPhoto,
    TooManyPixels(String),
    Damaged(String),
}

impl Unfit {
    fn named(self, name: &str) -> ApiError {
        match self {
            Self::NoPhoto => ApiError::type_unknown(format!(
                "The file is no photo that is read here. Send PNG, JPEG, TIFF, BMP, WebP, GIF or PNM. [{name}]"
            )),
            Self::TooManyPixels(message) => ApiError::too_large(format!("{message} [{name}]")),
            Self::Damaged(message) => ApiError::unusable(format!("{message} [{name}]")),
        }
    }
}

/// Looks at the first bytes and the header; nothing is decoded.
fn check_photo(path: &Path, max_pixels: u64) -> Result<(), Unfit> {
    let damaged = |e: &dyn std::fmt::Display| Unfit::Damaged(format!("The photo is damaged or cut off: {e}."));
    let file = std::fs::File::open(path).map_err(|e| damaged(&e))?;
    if file.metadata().map_err(|e| damaged(&e))?.len() == 0 {
        return Err(Unfit::Damaged("The photo is empty (0 bytes).".to_owned()));
    }
    let reader = ImageReader::new(BufReader::new(file)).with_guessed_format().map_err(|e| damaged(&e))?;
    if reader.format().is_none() {
        return Err(Unfit::NoPhoto);
    }
    let (width, height) = match reader.into_dimensions() {
        Ok(size) => size,
        Err(ImageError::Unsupported(_)) => return Err(Unfit::NoPhoto),
        Err(e) => return Err(damaged(&e)),
    };
    if u64::from(width) * u64::from(height) > max_pixels {
        return Err(Unfit::TooManyPixels(format!(
            "The photo has {width} × {height} pixels; this server takes at most {} million.",
            max_pixels / 1_000_000
        )));
    }
    Ok(())
}

/// The last part of a path in either style, without anything that is not plainly part of a name.
fn clean_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last
        .chars()
        .map(|c| if c.is_alphanumeric() || " ._-()".contains(c) { c } else { '_' })
        .take(MAX_NAME)
        .collect();
    // No hidden files, no flags, nothing that a spreadsheet takes for a formula.
    let clean = clean.trim_start_matches(['.', '-', ' ']).trim_end();
    if clean.is_empty() { "unnamed".to_owned() } else { clean.to_owned() }
}

/// What broke off the reading of a form.
fn form_error(error: &MultipartError, limits: &Limits) -> ApiError {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(reason) = inner.downcast_ref::<BodyError>() {
            return match reason {
                BodyError::TooLarge => too_large(limits),
                BodyError::TooSlow => ApiError::too_slow(),
                BodyError::HeaderTooLong => ApiError::malformed("A header inside of the form is too long."),
                BodyError::CutOff => ApiError::malformed("The body ended before the form did."),
            };
        }
        source = inner.source();
    }
    ApiError::malformed(format!("The form cannot be read: {}.", error.body_text().trim_end_matches('.')))
}

/// The body is larger than this server takes.
pub fn too_large(limits: &Limits) -> ApiError {
    ApiError::too_large(format!(
        "The request is larger than {} MiB, the most this server takes. Send a smaller photo.",
        limits.body.bytes as f64 / f64::from(1 << 20)
    ))
}

#[cfg(test)]
mod tests {
    use super::clean_name;

    #[test]
    fn names_keep_nothing_that_leads_anywhere() {
        for (name, clean) in [
            ("ring 07.png", "ring 07.png"),
            ("../../etc/passwd", "passwd"),
            ("C:\\temp\\größe (1).jpg", "größe (1).jpg"),
            ("..", "unnamed"),
            (".bashrc", "bashrc"),
            ("-rf", "rf"),
            ("=cmd|calc!A0.png", "_cmd_calc_A0.png"),
            ("a\r\nSet-Cookie: x", "a__Set-Cookie_ x"),
            ("<script>.png", "_script_.png"),
            ("", "unnamed"),
        ] {
            assert_eq!(clean_name(name), clean);
        }
        assert_eq!(clean_name(&"x".repeat(1000)).len(), super::MAX_NAME);
    }
}
