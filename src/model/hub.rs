//! Downloads a model in the hub's layout, `{endpoint}/{id}/resolve/{revision}/{file}`: progress, resuming where a
//! connection broke, checksums, and a folder that appears only when it is complete. Which models there are is `catalog`'s.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use ureq::Agent;
use ureq::http::{HeaderMap, Response};

use super::catalog::{CatalogEntry, CatalogFile};
use super::source::models_dir;
use crate::{Error, Result};

/// Note of what was downloaded, in the model's folder.
const RECEIPT: &str = "hairline.json";
/// How often a broken connection is resumed before giving up.
const ATTEMPTS: u32 = 3;

/// How far a download is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    pub file: String,
    /// Bytes of this file so far.
    pub done: u64,
    /// Bytes of this file, if the server says so.
    pub total: Option<u64>,
}

/// Where models come from and go to.
#[derive(Clone, Debug)]
pub struct Hub {
    endpoint: String,
    models: PathBuf,
    agent: Agent,
    pause: Duration,
}

/// What was downloaded, for [`verify`].
#[derive(Debug, Serialize, Deserialize)]
struct Receipt {
    id: String,
    endpoint: String,
    files: Vec<ReceiptFile>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ReceiptFile {
    name: String,
    size: u64,
    sha256: String,
}

/// What the server says of a file before it is fetched.
struct Remote {
    url: String,
    sha256: Option<String>,
    size: Option<u64>,
}

impl Hub {
    /// `HF_ENDPOINT` or huggingface.co, into the user's folder of models.
    pub fn from_environment() -> Result<Self> {
        let endpoint = std::env::var("HF_ENDPOINT").ok().filter(|endpoint| !endpoint.is_empty());
        Ok(Self::new(&endpoint.unwrap_or_else(|| "https://huggingface.co".to_owned()), &models_dir()?))
    }

    /// A given server and folder of models.
    pub fn new(endpoint: &str, models: &Path) -> Self {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(seconds(20))
            .timeout_recv_response(seconds(60))
            .timeout_per_read(seconds(60))
            .user_agent(concat!("hairline/", env!("CARGO_PKG_VERSION")))
            .build();
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            models: models.to_owned(),
            agent: config.into(),
            pause: Duration::from_secs(2),
        }
    }

    /// Waits this long before it resumes a broken connection; two seconds unless told otherwise.
    #[must_use]
    pub fn with_pause(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// Downloads a model and returns its folder. What an earlier, broken download left is used. `report` is told of every
    /// piece and stops the download by returning `Break`; what was fetched stays for the next time.
    pub fn pull(&self, entry: &CatalogEntry, report: &mut dyn FnMut(&Progress) -> ControlFlow<()>) -> Result<PathBuf> {
        let target = self.folder(&entry.id)?;
        if target.join(RECEIPT).is_file() {
            return Ok(target);
        }
        if target.exists() {
            return Err(Error::input(
                "The model's folder is there, but was not made by a download. Move it away first.",
            )
            .at(&target));
        }
        let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let staging = self.models.join(format!(".{name}.download"));
        std::fs::create_dir_all(&staging)
            .map_err(|error| Error::io("Cannot make the folder for the model", &staging, &error))?;
        let mut files = Vec::new();
        for file in &entry.files {
            files.push(self.fetch(&entry.id, file, &staging, report)?);
        }
        let receipt = Receipt { id: entry.id.clone(), endpoint: self.endpoint.clone(), files };
        let text = serde_json::to_string_pretty(&receipt)
            .map_err(|error| Error::bug(format!("a receipt that cannot be written: {error}.")))?;
        let path = staging.join(RECEIPT);
        std::fs::write(&path, text)
            .map_err(|error| Error::io("Cannot write the note of the download", &path, &error))?;
        std::fs::rename(&staging, &target)
            .map_err(|error| Error::io("Cannot move the downloaded model to its place", &target, &error))?;
        Ok(target)
    }

    /// Folder of a model, installed or not.
    pub fn folder(&self, id: &str) -> Result<PathBuf> {
        let folder = super::source::folder_of(id)?;
        Ok(self.models.join(folder.file_name().unwrap_or_default()))
    }

    /// One file into `staging`, complete and checked.
    fn fetch(
        &self,
        id: &str,
        file: &CatalogFile,
        staging: &Path,
        report: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<ReceiptFile> {
        let remote = self.look_up(id, file)?;
        let expected = file.sha256.clone().or_else(|| remote.sha256.clone());
        let path = staging.join(&file.name);
        if path.is_file() {
            let found = receipt_of(&path, &file.name)?;
            // Without a checksum the size must do.
            if expected.as_ref().map_or(remote.size.is_some_and(|size| size == found.size), |sum| *sum == found.sha256)
            {
                return Ok(found);
            }
        }
        // A part belongs to one content: another checksum starts another part.
        let tag = expected.as_deref().and_then(|sum| sum.get(..12)).unwrap_or("any");
        let part = staging.join(format!("{}.{tag}.part", file.name));
        self.fetch_part(&remote, &file.name, &part, report)?;
        let found = receipt_of(&part, &file.name)?;
        if let Some(expected) = expected.filter(|expected| *expected != found.sha256) {
            std::fs::remove_file(&part)
                .map_err(|error| Error::io("Cannot remove the damaged download", &part, &error))?;
            return Err(Error::model(format!(
                "{} arrived damaged: its SHA-256 is {}, not {expected}. It was removed; download it again.",
                file.name, found.sha256
            )));
        }
        std::fs::rename(&part, &path).map_err(|error| Error::io("Cannot rename the downloaded file", &path, &error))?;
        Ok(found)
    }

    /// Asks for headers only, at the hub itself: it knows the checksum, the storage it redirects to does not.
    fn look_up(&self, id: &str, file: &CatalogFile) -> Result<Remote> {
        let mut last = String::new();
        for revision in &file.revisions {
            let url = format!("{}/{id}/resolve/{}/{}", self.endpoint, revision.replace('/', "%2F"), file.name);
            let (url, response) = self.head(&url)?;
            let status = response.status().as_u16();
            let headers = response.headers();
            match status {
                200..=399 => {
                    let sum = text(headers, "x-linked-etag")
                        .or_else(|| text(headers, "etag"))
                        .map(|tag| tag.trim_start_matches("W/").trim_matches('"').to_lowercase());
                    let sha256 = sum.filter(|sum| sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit()));
                    let length = if status < 300 { text(headers, "content-length") } else { None };
                    let size = text(headers, "x-linked-size").or(length).and_then(|size| size.parse().ok());
                    return Ok(Remote { url, sha256, size });
                }
                404 => last = url,
                401 | 403 => {
                    return Err(Error::model(format!(
                        "The hub does not let {id} be downloaded without an account (HTTP {status}, {url}). Download it in a browser, then give --model its folder."
                    )));
                }
                _ => return Err(Error::model(format!("The hub answered HTTP {status} for {url}. Try again later."))),
            }
        }
        Err(Error::model(format!(
            "The hub has no {} of {id} (HTTP 404, {last}). Check the id; where a model has only pytorch_model.bin, convert it and give --model the folder.",
            file.name
        )))
    }

    /// HEAD, following redirects that stay on the same server (renamed models), but not the one to the storage.
    fn head(&self, url: &str) -> Result<(String, Response<ureq::Body>)> {
        let mut url = url.to_owned();
        for _ in 0..5 {
            let response = self.agent.head(&url).call().map_err(|error| self.unreachable(&error))?;
            let onward = text(response.headers(), "location")
                .filter(|place| place.starts_with('/') && response.status().is_redirection());
            match onward {
                Some(place) if text(response.headers(), "x-linked-etag").is_none() => {
                    url = format!("{}{place}", self.endpoint);
                }
                _ => return Ok((url, response)),
            }
        }
        Err(Error::model(format!("The hub sends {url} in a circle. Try again later.")))
    }

    /// Fetches what `part` lacks, resuming a few times.
    fn fetch_part(
        &self,
        remote: &Remote,
        name: &str,
        part: &Path,
        report: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut reason = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                std::thread::sleep(self.pause);
            }
            match self.fetch_once(remote, name, part, report)? {
                None => return Ok(()),
                Some(broken) => reason = broken,
            }
        }
        let done = std::fs::metadata(part).map_or(0, |meta| meta.len());
        Err(Error::model(format!(
            "The download of {name} broke off after {done} bytes: {reason}. Run the same command again; it goes on from there."
        )))
    }

    /// One request. `None` when the file is complete, else why it is not yet.
    fn fetch_once(
        &self,
        remote: &Remote,
        name: &str,
        part: &Path,
        report: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<Option<String>> {
        let have = std::fs::metadata(part).map_or(0, |meta| meta.len());
        if remote.size.is_some_and(|size| size == have) && have > 0 {
            return Ok(None);
        }
        let mut request = self.agent.get(&remote.url).config().max_redirects(10).build();
        if have > 0 {
            request = request.header("Range", format!("bytes={have}-"));
        }
        let response = match request.call() {
            Ok(response) => response,
            Err(ureq::Error::Io(error)) => return Ok(Some(error.to_string())),
            Err(error) => return Err(self.unreachable(&error)),
        };
        let resumed = match response.status().as_u16() {
            206 => true,
            200 => false,
            416 => {
                // The part is longer than the file: it belongs to something else.
                std::fs::remove_file(part)
                    .map_err(|error| Error::io("Cannot remove the old part of the download", part, &error))?;
                return Ok(Some("the part fetched earlier did not fit".to_owned()));
            }
            status => {
                return Err(Error::model(format!(
                    "The hub answered HTTP {status} for {}. Try again later.",
                    remote.url
                )));
            }
        };
        let start = if resumed { have } else { 0 };
        let body = text(response.headers(), "content-length").and_then(|length| length.parse::<u64>().ok());
        let total = remote.size.or_else(|| body.map(|length| start + length));
        let mut out = OpenOptions::new()
            .create(true)
            .write(true)
            .append(resumed)
            .truncate(!resumed)
            .open(part)
            .map_err(|error| Error::io("Cannot write the download", part, &error))?;
        let mut reader = response.into_body().into_reader();
        let (mut done, mut buffer) = (start, vec![0; 1 << 18]);
        let mut tell = |done| {
            let progress = Progress { file: name.to_owned(), done, total };
            if report(&progress).is_break() { Err(Error::Cancelled) } else { Ok(()) }
        };
        tell(done)?;
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    out.write_all(&buffer[..count])
                        .map_err(|error| Error::io("Cannot write the download", part, &error))?;
                    done += count as u64;
                    tell(done)?;
                }
                Err(error) => return Ok(Some(error.to_string())),
            }
        }
        out.sync_all().map_err(|error| Error::io("Cannot write the download", part, &error))?;
        Ok(match total {
            Some(total) if done != total => Some(format!("{done} of {total} bytes arrived")),
            _ => None,
        })
    }

    fn unreachable(&self, error: &ureq::Error) -> Error {
        Error::model(format!(
            "The hub {} cannot be reached: {error}. Check the network, or set HF_ENDPOINT to a mirror.",
            self.endpoint
        ))
    }
}

/// Compares a downloaded model's files with what was noted when they came. Returns how many were checked.
pub fn verify(folder: &Path) -> Result<usize> {
    let path = folder.join(RECEIPT);
    let note = std::fs::read_to_string(&path)
        .map_err(|error| Error::io("There is no note of a download to compare with", &path, &error))?;
    let receipt: Receipt = serde_json::from_str(&note).map_err(|error| {
        Error::model(format!("The note of the download cannot be read: {error}. Download the model again.")).at(&path)
    })?;
    for file in &receipt.files {
        let path = folder.join(&file.name);
        let found = receipt_of(&path, &file.name)?;
        if found.sha256 != file.sha256 {
            return Err(Error::model(format!(
                "{} has changed since it was downloaded (SHA-256 {}, not {}). Remove the folder and download the model again.",
                file.name, found.sha256, file.sha256
            ))
            .at(&path));
        }
    }
    Ok(receipt.files.len())
}

fn receipt_of(path: &Path, name: &str) -> Result<ReceiptFile> {
    let failed = |error: std::io::Error| Error::io("Cannot read a file of the model", path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let (mut hasher, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 20]);
    loop {
        let count = file.read(&mut buffer).map_err(failed)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        size += count as u64;
    }
    Ok(ReceiptFile { name: name.to_owned(), size, sha256: crate::photo::hex(&hasher.finalize()) })
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(ToOwned::to_owned)
}
