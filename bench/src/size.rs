//! How big the Workers are: as they are, and compressed, which is what the platform's limit is on.

use std::io::Write as _;

use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::subject::{ALL, Subject, Workshop};
use crate::table::lay_out;

/// One module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) subject: Subject,
    pub(crate) module: &'static str,
    pub(crate) bytes: usize,
    pub(crate) gzip_bytes: usize,
}

/// Measures every module.
pub(crate) fn measure(workshop: &Workshop) -> Result<Vec<Size>> {
    let mut sizes = Vec::new();
    for subject in ALL {
        for module in subject.modules() {
            let content = workshop.read(module)?;
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(&content)?;
            sizes.push(Size {
                subject,
                module: module.name,
                bytes: content.len(),
                gzip_bytes: encoder.finish()?.len(),
            });
        }
    }
    Ok(sizes)
}

/// The table of all modules.
pub(crate) fn table(sizes: &[Size]) -> String {
    let rows: Vec<Vec<String>> = sizes
        .iter()
        .map(|size| {
            vec![
                format!("{}, `{}`", size.subject.name(), size.module),
                size.bytes.to_string(),
                size.gzip_bytes.to_string(),
            ]
        })
        .collect();
    lay_out(&["", "bytes", "gzip bytes"], &rows)
}
